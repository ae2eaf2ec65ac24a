"""A route whose body is validated from its bytes, in one pass.

FastAPI parses JSON in Python, then walks over dependencies that these endpoints do not have: that
takes as long as reading the features. The OpenAPI page is made from the endpoint as always.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import request_response

from .guards import BODY


class JsonRoute(APIRoute):
    """For endpoints that take a model, then the request, and answer with a Response."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = request_response(self.get_route_handler())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        model: type[BaseModel] = next(iter(inspect.get_annotations(endpoint).values()))
        validate = model.__pydantic_validator__.validate_json

        async def handle(request: Request) -> Response:
            try:
                content = validate(request.scope[BODY])
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)
                wrong = [{**one, "loc": ("body", *one["loc"])} for one in found]
                raise RequestValidationError(wrong) from None
            response: Response = await endpoint(content, request)
            return response

        return handle
