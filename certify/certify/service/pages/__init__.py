"""The review pages: rendered on the server, whole without a script.

- ``routes``: every address, and what is asked before it is answered; ``forms``: what a form sends;
- ``views``: what each page shows, as values; ``flow``: the picture of effects and data;
- ``rendering``: values to HTML; ``templates``, ``pages.css``, ``pages.js``: how it looks.
"""

from certify.service.pages.routes import routes

__all__ = ["routes"]
