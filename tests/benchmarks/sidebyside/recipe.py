"""The demo's recipe with the images that it leaves out, as all other contestants load them."""

from worker.sites.demo.recipe import Demo


class WithImages(Demo):
    """Opens the same pages in the same way, and has everything on them loaded."""

    images = True
