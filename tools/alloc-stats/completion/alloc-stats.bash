# SPDX-License-Identifier: MIT
#
# alloc-stats.bash - completion for bash.

_alloc_stats()
{
	local cur prev words cword i
	_init_completion -n = || return

	for ((i = 1; i < cword; i++)); do
		if [[ ${words[i]} == -- ]]; then
			_command_offset $((i + 1))
			return
		fi
	done
	case $prev in
	-o | --output | --plot | --library | core)
		_filedir
		return
		;;
	-s | --sort)
		mapfile -t COMPREPLY < <(compgen -W 'resident waste growth live' -- "$cur")
		return
		;;
	-d | --delay | -n | --count | --watch)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--json --openmetrics --watch --count --trim --now --config
			--library --children --exact --plot --output --batch --sort --delay --help --version --' \
			-- "$cur")
	elif [[ " ${words[*]} " == *' diff '* ]]; then
		_filedir json
	else
		_pids
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W 'top diff map core' -- "$cur")
	fi
} && complete -F _alloc_stats alloc-stats
