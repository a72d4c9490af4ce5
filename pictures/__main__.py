"""`make pictures`."""

from pictures.gallery import redraw

if __name__ == "__main__":
    redraw()
