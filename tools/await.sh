# For the scripts beside it, which read it by `source`.

# Waits until a condition, given as a line of shell, holds; gives up after so many seconds.
await() { # SECONDS CONDITION
    local end=$((SECONDS + $1))
    until eval "$2"; do
        ((SECONDS < end)) || { echo "after $1 seconds it still does not hold: $2" && return 1; }
        sleep 0.2
    done
}
