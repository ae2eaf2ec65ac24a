"""Validates a request from its bytes and serializes the response in one pass each.

FastAPI parses JSON in Python, resolves dependencies that these endpoints do not have, and validates
our own response again. It still handles a body that is not valid: another encoding, or an error.
"""

import copy
import inspect

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from exercise_04_serving.production.middleware import replay


def use_fast_routes(app: FastAPI) -> None:
    """Replace how the POST routes call their endpoints, which take a model and the request."""
    for place, route in enumerate(app.router.routes):
        if isinstance(route, APIRoute) and route.methods == {"POST"}:
            fast = copy.copy(route)  # other applications share the route
            fast.app = _fast(route)
            app.router.routes[place] = fast


def _fast(route: APIRoute) -> ASGIApp:
    model = next(iter(inspect.get_annotations(route.endpoint).values()))
    validate = model.__pydantic_validator__.validate_json

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        try:
            content = validate(body)
        except ValidationError:
            return await route.app(scope, replay(body), send)
        result = await route.endpoint(content, request)
        answer = result.__pydantic_serializer__.to_json(result)
        await Response(answer, 200, None, "application/json")(scope, receive, send)

    return handle
