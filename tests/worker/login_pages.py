"""Pages as one meets them before a login, on the test site."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.worker.lot_site import Answer, LotSite


class LoginPages(LotSite):
    """The test site, whose login is behind a link, in a dialog, beside a form to register, or nowhere."""

    def pages(self) -> dict[str, Callable[[web.Request], Awaitable[Answer]]]:
        return super().pages() | {
            "/": self.front,
            "/dialog": self.dialog,
            "/register": self.register,
            "/open": self.open,
            "/basic": self.basic,
            "/data.json": self.data,
        }

    async def front(self, _request: web.Request) -> Answer:
        """The page before the login: links as sites have them, none of which but one leads to it."""
        links = "<a href=/register>Sign up</a><a href=/open>Stock</a>"
        links += "<a href='/login?next=%2Finventory&lang=de'>Anmelden</a>"
        return web.Response(text=f"<title>The Lot</title>{links}", content_type="text/html")

    async def dialog(self, _request: web.Request) -> Answer:
        """A login that shows after a click, made by a script a moment after the page."""
        form = "<input id=search><input name=mail type=email placeholder=Mail><input name=pass type=password>"
        form += "<label><input type=checkbox name=stay>Stay</label><button type=button>Continue</button>"
        script = (
            f'document.body.innerHTML = `<button onclick="d.hidden=false">Log in</button><div id=d hidden>{form}</div>`'
        )
        page = f"<title>Dialog</title><script>setTimeout(() => {{ {script} }}, 300)</script>"
        return web.Response(text=page, content_type="text/html")

    async def register(self, _request: web.Request) -> Answer:
        """A page to register on, with a small login at its head."""
        login = "<form><input name=user><input name=password type=password><input type=submit value=Go></form>"
        new = "<input name=p1 type=password><input name=p2 type=password>"
        new = f"<form><input name=mail>{new}<button>New</button></form>"
        return web.Response(text=f"<title>Register</title>{new}{login}", content_type="text/html")

    async def open(self, _request: web.Request) -> Answer:
        """A page without a login anywhere."""
        return web.Response(text="<title>Open</title><a href=/all.csv>All as CSV</a>", content_type="text/html")

    async def data(self, _request: web.Request) -> Answer:
        return web.json_response({})

    async def basic(self, _request: web.Request) -> Answer:
        """A page that asks for user and password by HTTP."""
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="lot"'})
