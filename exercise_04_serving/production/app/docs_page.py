"""/docs, with Swagger UI's files out of a package: the page needs no network."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PAGE, FILES, DESCRIPTION = "/docs", "/docs/files", "/openapi.json"


def add_docs_page(app: FastAPI) -> None:
    """Add it after the endpoints: routes are tried in turn."""

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=DESCRIPTION,
            title=app.title,
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{FILES}/favicon.png",
        )

    app.get(PAGE, include_in_schema=False)(docs)
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]))
