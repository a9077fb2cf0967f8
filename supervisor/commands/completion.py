"""``run.py completion``: a shell that knows the commands, options and references."""

import click

from supervisor import completion
from supervisor.commands import options


@click.command(
    "completion",
    cls=options.Command,
    examples="""
    completion bash                            prints the script; its first line says where it goes
    completion fish | source                   for this shell, at once
    """,
)
@click.argument("shell", type=click.Choice(list(completion.SHELLS)))
def command(shell: str) -> None:
    """Print the completion script of a shell: for `./run.py`, `python run.py` and `uv run run.py`."""
    click.echo(completion.script(shell, options.ROOT), nl=False)
