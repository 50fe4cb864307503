"""`python -m webtext` is the command `webtext`."""

from webtext._commands import webtext

if __name__ == "__main__":
    webtext()
