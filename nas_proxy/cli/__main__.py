"""``python -m nas_proxy.cli``, where the command is not on the path."""

from nas_proxy.cli.main import main

main()
