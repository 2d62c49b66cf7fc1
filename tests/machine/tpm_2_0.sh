# shellcheck shell=sh
# Checks on a machine with a TPM 2.0; tests/it/tpm/slow_device.rs says what each must bring.

identify='{"action": "identify"}'
raw='{"action": "identify", "tcti": "device:/dev/tpm0"}'

# $1 processes at the same time, or one after the other; what they wrote and returned, each different line once with
# how often it came.
at_once() {
    echo "$2" >/tmp/request
    for process in $(seq "$1"); do
        { tbot_tpm /tmp/request; echo "exit status $?"; } >"/tmp/process-$process" 2>&1 &
    done
    wait
    cat /tmp/process-* | sort | uniq -c
}
one_by_one() {
    echo "$2" >/tmp/request
    for process in $(seq "$1"); do
        tbot_tpm /tmp/request
        echo "exit status $?"
    done 2>&1 | sort | uniq -c
}

# The names of the drivers' device numbers, as DeviceAllow=char-NAME means them.
driver() {
    awk -v major="$((0x$(stat -c %t "$1")))" '/^Block/ { exit } $1 == major { print $2 }' /proc/devices
}

check driver_of_the_resource_manager driver /dev/tpmrm0
check driver_of_the_raw_device driver /dev/tpm0

check default request "$identify"
check native request '{"action": "identify", "tcti": "device:/dev/tpmrm0", "backend": "native"}'
check esapi request '{"action": "identify", "tcti": "device:/dev/tpmrm0", "backend": "esapi"}'

check many_at_once at_once 32 "$identify"
check many_one_by_one one_by_one 40 "$raw"

exec 3<>/dev/tpm0
check raw_while_held request "$raw"
check default_while_raw_is_held request "$identify"
exec 3>&-
check raw_after_it_was_held request "$raw"

chmod 0600 /dev/tpmrm0
access='{"action": "access", "user": "tbot", "group": "tbot"}'
check access_without_udev request "$access"
check nobody request_as nobody "$identify"
chmod 0666 /dev/tpm0
check nobody_where_the_raw_device_is_open_to_all request_as nobody "$identify"
chmod 0600 /dev/tpm0
chgrp tss /dev/tpmrm0
chmod 0660 /dev/tpmrm0
check nobody_where_a_group_has_the_device request_as nobody "$identify"
check access_by_the_group request "$access"
check member_of_the_group request_as tbot "$identify"

mv /dev/tpmrm0 /dev/away
check without_the_resource_managers_node request "$identify"
mv /dev/away /dev/tpmrm0
