"""Keys and POSIX message queues, which the kernel would keep after a submission's processes.

A key lies in the keyring of a session or a user, which bubblewrap does not renew, and a queue in a
namespace that one submission after the other uses. So nobody makes any: a filter refuses the calls.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # of the kernel's packet filter
NUMBER_AT, ARCHITECTURE_AT = 0, 4  # in seccomp_data
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM
OTHER_ABI = 0x4000_0000  # x32 has the same calls from here on
# The architecture in seccomp_data; mq_open, add_key, request_key, keyctl
REFUSED = {
    "x86_64": (0xC000_003E, (240, 248, 249, 250)),
    "aarch64": (0xC000_00B7, (180, 217, 218, 219)),
}


class Program(ctypes.Structure):
    """The kernel's sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def refuse_kernel_objects() -> None:
    """Let neither this process nor what it starts make keys and queues, where Linux can do that.

    Raises OSError when the kernel takes no such filter.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in REFUSED:
        return
    steps = _filter(*REFUSED[machine])
    program = Program(len(steps), b"".join(steps))
    _prctl(PR_SET_NO_NEW_PRIVS, 1, 0)
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))


def _filter(architecture: int, calls: tuple[int, ...]) -> list[bytes]:
    """Refuse the calls, and all of another architecture, whose numbers are others."""
    end = len(calls) + 1  # steps from the check of the number to the refusal
    tests = [_step(EQUAL, call, yes=end - n) for n, call in enumerate(calls, 1)]
    return [
        _step(LOAD, ARCHITECTURE_AT),
        _step(EQUAL, architecture, no=end + 2),
        _step(LOAD, NUMBER_AT),
        _step(AT_LEAST, OTHER_ABI, yes=end),
        *tests,
        _step(RETURN, ALLOW),
        _step(RETURN, REFUSE),
    ]


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _prctl(option: int, value: int, pointer: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, pointer, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
