# shellcheck shell=dash
# Run by tests/machine/init on a machine with SELinux: see tests/it/host/directory/slow_selinux.rs.

mkdir -p /var /etc/selinux/test/contexts/files
mount -t selinuxfs none /sys/fs/selinux
dd if=/policy of=/sys/fs/selinux/load bs=1M
mount -t tmpfs -o mode=755 none /var
mkdir /var/lib
printf 'SELINUX=permissive\nSELINUXTYPE=test\n' >/etc/selinux/config
cat >/etc/selinux/test/contexts/files/file_contexts <<'END'
/.* system_u:object_r:tmp_t:s0
/var/lib(/.*)? system_u:object_r:var_lib_t:s0
/var/lib/teleport/bot(/.*)? system_u:object_r:bot_t:s0
END
# Which tools read before they look at a file.
touch /etc/selinux/test/contexts/customizable_types
bot=/var/lib/teleport/bot

check made request '{"action": "storage", "_ansible_diff": true}'
check labels_made context /var/lib/teleport $bot
check again request '{"action": "storage"}'

touch $bot/tlscert
chcon system_u:object_r:tmp_t:s0 $bot $bot/tlscert
check foreseen request '{"action": "storage", "_ansible_diff": true, "_ansible_check_mode": true}'
check labels_foreseen context $bot $bot/tlscert
check mended request '{"action": "storage", "_ansible_diff": true}'
check labels_mended context $bot $bot/tlscert
check mended_again request '{"action": "storage"}'

mv /usr/sbin/restorecon /usr/sbin/restorecon.away
check without_restorecon request '{"action": "storage"}'
