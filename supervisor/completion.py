"""Completion scripts for shells. Click answers what may follow; the scripts only ask, and show it.

Click's own scripts know a program by the one word that starts it. This one is started in several ways: ``./run.py``,
``python run.py``, ``uv run run.py``. So these look for the word that ends in run.py, ask for what follows it, and leave
a command line without that word to whoever completed it before.
"""

import shlex
import sys
from pathlib import Path

_VARIABLE = "_RUN_PY_COMPLETE"
"""In which click looks for its orders when it is called run.py."""
_LAUNCHERS = ("uv", "python", "python3")

_BASH = """\
# For ~/.bashrc: source <(cd CHECKOUT && uv run run.py completion bash)
_nightfleet() {
    local line="${COMP_LINE:0:COMP_POINT}" first=-1 i kind value
    local -a words
    read -ra words <<< "$line"
    [[ -z $line || $line == *[[:space:]] ]] && words+=("")
    for ((i = 0; i < ${#words[@]} - 1; i++)); do
        [[ ${words[i]} == run.py || ${words[i]} == */run.py ]] && { first=$i; break; }
    done
    if ((first < 0)); then
        local former="_nightfleet_former_$1"
        [[ -n ${!former:-} ]] && "${!former}" "$@"
        return
    fi
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames 2> /dev/null ;;
            file) compopt -o default 2> /dev/null ;;
        esac
    done < <(COMP_WORDS="${words[*]:first}" COMP_CWORD=$((${#words[@]} - 1 - first)) \\
        VARIABLE=bash_complete PROGRAM 2> /dev/null)
}
for _nightfleet_name in LAUNCHERS; do
    _nightfleet_found=$(complete -p "$_nightfleet_name" 2> /dev/null)
    [[ $_nightfleet_found =~ -F\\ ([^ ]+) && ${BASH_REMATCH[1]} != _nightfleet ]] \\
        && printf -v "_nightfleet_former_$_nightfleet_name" %s "${BASH_REMATCH[1]}"
done
unset _nightfleet_name _nightfleet_found
complete -o nosort -F _nightfleet run.py
complete -o bashdefault -o default -F _nightfleet LAUNCHERS
"""

_ZSH = """\
# For ~/.zshrc, after compinit: source <(cd CHECKOUT && uv run run.py completion zsh)
_nightfleet() {
    local -i first=${words[(I)(|*/)run.py]}
    if ((first == 0 || first >= CURRENT)); then
        local former=${_nightfleet_former[${words[1]:t}]:-_default}
        $former "$@"
        return
    fi
    local -a described plain
    local kind value text
    while IFS= read -r kind && IFS= read -r value && IFS= read -r text; do
        case $kind in
            plain) [[ $text == _ ]] && plain+=("$value") || described+=("$value:$text") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done < <(COMP_WORDS="${words[first,-1]}" COMP_CWORD=$((CURRENT - first)) \\
        VARIABLE=zsh_complete PROGRAM 2> /dev/null)
    (($#described)) && _describe -V unsorted described -U
    (($#plain)) && compadd -U -V unsorted -a plain
}
typeset -gA _nightfleet_former
for _nightfleet_name in LAUNCHERS; do
    [[ -n ${_comps[$_nightfleet_name]} && ${_comps[$_nightfleet_name]} != _nightfleet ]] \\
        && _nightfleet_former[$_nightfleet_name]=${_comps[$_nightfleet_name]}
done
unset _nightfleet_name
compdef _nightfleet run.py LAUNCHERS
"""

_FISH = """\
# For ~/.config/fish/config.fish: cd CHECKOUT; and uv run run.py completion fish | source
function _nightfleet_words
    # The words from the one that ends in run.py on, without the one at the cursor; none when there is no such word.
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if string match -qr '(^|/)run\\.py$' -- $words[$i]
            printf '%s\\n' $words[$i..-1]
            return 0
        end
    end
    return 1
end
function _nightfleet
    set -l words (_nightfleet_words); or return
    set -l present (commandline -ct)
    for line in (env VARIABLE=fish_complete COMP_WORDS="$words $present" COMP_CWORD="$present" PROGRAM 2> /dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case plain
                echo $parts[2]
            case dir
                __fish_complete_directories $present
            case file
                __fish_complete_path $present
        end
    end
end
complete --no-files --command run.py --arguments '(_nightfleet)'
for name in LAUNCHERS
    complete --no-files --command $name --condition '_nightfleet_words > /dev/null' --arguments '(_nightfleet)'
end
"""

SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str, root: Path) -> str:
    """Return the script for one of `SHELLS`, for the checkout at `root` and the Python that runs this."""
    text = SHELLS[shell].replace("LAUNCHERS", " ".join(_LAUNCHERS)).replace("VARIABLE", _VARIABLE)
    program = shlex.join([sys.executable, str(root / "run.py")])
    return text.replace("CHECKOUT", shlex.quote(str(root))).replace("PROGRAM", program)
