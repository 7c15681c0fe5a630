"""`python -m acestep_serve`: the same as the command `acestep-serve`."""

from acestep_serve.cli import main

main()
