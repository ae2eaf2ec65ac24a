"""A service that clients store data in, and that the user may run in place of `lab up`."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from lab.errors import UserError
from lab.stack.ports import holder, is_taken, next_free
from lab.stack.service import Service
from lab.variables import port_of


class Server(Service):
    """A server; where a setting names a user's own server, the lab never starts one."""

    address_setting: ClassVar[str]
    scheme: ClassVar[str] = ""  # in front of the address in that setting
    oldest: ClassVar[tuple[int, int]]

    @abstractmethod
    def version(self) -> tuple[int, ...]:
        """Return the version of the server that answers; () if none of this kind does. Bounded."""

    @property
    def is_the_users(self) -> bool:
        """Return True if the setting names the server at this port."""
        address = getattr(self.config, self.address_setting)
        return address is not None and port_of(address) == self.port

    def require_version(self) -> None:
        """Raise UserError where no server answers, or one that is too old."""
        found, kind = self.version(), self.name.capitalize()
        if not found:
            problem = f"no {kind} answers on {self.address}, or it requires a password"
            raise UserError(problem, f"start it, or `unset {self._variable}`")
        if found < self.oldest:
            problem = f"{kind} {dotted(found)} on {self.address} is too old"
            raise UserError(problem, f"install {kind} {dotted(self.oldest)} or newer")

    def require_free_ports(self, ports: Mapping[str, int]) -> None:
        """Raise UserError where another process listens; it names a server of this kind."""
        host = self.config.host
        if is_taken(host, self.port) and (found := self.version()):
            port = f"LAB_{next(iter(self.ports)).upper()}={next_free(host, self.ports, self.port)}"
            raise UserError(
                f"{self.name.capitalize()} {dotted(found)} listens on {self.address},"
                f" started by something else than `lab up`: {holder(self.port)}",
                f"`export {self._variable}={self.scheme}{self.address}` to use it,"
                f" or `export {port}`; then repeat the command",
            )
        super().require_free_ports(ports)

    @property
    def _variable(self) -> str:
        return f"LAB_{self.address_setting.upper()}"


def dotted(version: tuple[int, ...]) -> str:
    """Return a version in its usual form."""
    return ".".join(map(str, version))
