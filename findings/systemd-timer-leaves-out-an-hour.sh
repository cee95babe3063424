#!/bin/sh
# systemd 252 (Debian 12), OnCalendar= where clocks change: when they go back, a timer of every hour, or of every 20
# minutes, leaves the second 02:00 to 03:00 out: nothing runs for an hour and twenty minutes, two hours for `hourly`.
# When they go forward, a daily one of 02:30 does not run at all that day. What is watched for a sign of life each 20
# minutes, or makes a file for each hour, has a hole. With UTC behind it a timer goes on evenly.
#
# Seen (Europe/Berlin; runs in UTC):
#   *:0/20 on 25 October: 00:20 00:40 02:00 02:20
#   *:0/20 UTC: 00:20 00:40 01:00 01:20
#   hourly: 23:00 00:00 02:00 03:00
#   02:30 on 28 to 31 March: 28 01:30,30 00:30,31 00:30
set -eu
case $(systemd-analyze --version | head -n 1) in
"systemd 252 "*) ;;
*)
    echo "needs systemd-analyze 252: on Debian 12, apt-get install systemd" >&2
    exit 2
    ;;
esac
test -e /usr/share/zoneinfo/Europe/Berlin || {
    echo "needs the time zones: apt-get install tzdata" >&2
    exit 2
}

# runs SPEC BASE COUNT FORMAT: when it runs, in UTC
runs() {
    TZ=Europe/Berlin systemd-analyze calendar --base-time="$2" --iterations="$3" "$1" |
        sed -n 's/.*(in UTC): [A-Z][a-z]* //p' | while read -r line; do date -u -d "$line" "+$4"; done | paste -sd "$5"
}

# same LABEL EXPECTED SEEN
same() {
    echo "$1: $3"
    test "$3" = "$2" || {
        echo "expected $2" >&2
        exit 1
    }
}
same "*:0/20 on 25 October" "00:20 00:40 02:00 02:20" "$(runs '*:0/20' '2026-10-25 02:15:00 CEST' 4 %H:%M ' ')"
same "*:0/20 UTC" "00:20 00:40 01:00 01:20" "$(runs '*:0/20 UTC' '2026-10-25 02:15:00 CEST' 4 %H:%M ' ')"
same "hourly" "23:00 00:00 02:00 03:00" "$(runs hourly '2026-10-25 00:30:00' 4 %H:%M ' ')"
same "02:30 on 28 to 31 March" "28 01:30,30 00:30,31 00:30" "$(runs 02:30 '2026-03-28 00:00:00' 3 '%d %H:%M' ,)"
