# RabbitMQ that the clinics' gateways connect to in strong mode: a queue for each account, which mix-relay reads.
# `mix-relay init` writes this file. For a POSIX shell (`. ./clinic-broker-setup.sh`), as the broker's administrator. Passwords are
# read from standard input. The registry's broker is another one; rabbitmq-setup.sh sets it up.
# Before it, in rabbitmq.conf (no message of ours is longer):
#   max_message_size = 4194304
#   channel_max = 64

VHOST=/         # virtual host that the relay and its clinics use alone
GATEWAYS=100    # number of gateways at most

# Runs a command of rabbitmqctl for the function named first, which stops if this fails.
relay_step() {
    relay_caller=$1
    shift
    rabbitmqctl "$@" && return
    echo "$relay_caller: \`rabbitmqctl $1\` failed, see above; nothing further was done" >&2
    return 1
}

# Takes a name for an account that stands for itself in permissions and in names of queues.
relay_name() {
    case "${2-}" in
    '' | *[!A-Za-z0-9_-]*)
        echo "$1: needs the account's name, of letters, digits, - and _" >&2
        return 2
        ;;
    esac
}

# Makes the virtual host, where VHOST is not the / that every broker has. Before everything else.
relay_vhost() {
    relay_step relay_vhost add_vhost "$VHOST"
}

# Exchanges and queue that all accounts see, and the limits. Gateways look for the dead letters and never get there.
relay_base() {
    relay_step relay_base import_definitions <<END || return
{"exchanges": [
   {"vhost": "$VHOST", "name": "clinic.receipts", "type": "fanout", "durable": true,
    "auto_delete": false, "internal": false, "arguments": {}},
   {"vhost": "$VHOST", "name": "clinic.dead", "type": "direct", "durable": true,
    "auto_delete": false, "internal": false, "arguments": {}}],
 "queues": [{"vhost": "$VHOST", "name": "clinic.facts.dead", "durable": true, "auto_delete": false,
   "arguments": {"x-queue-type": "classic"}}]}
END
    # Receipts for 48 hours: a gateway that was away longer sends its batches again.
    relay_step relay_base set_policy -p "$VHOST" --apply-to queues clinic-receipts '^clinic\.receipts\.' \
        '{"message-ttl": 172800000, "max-length-bytes": 67108864}' || return
    relay_step relay_base set_vhost_limits -p "$VHOST" \
        "{\"max-queues\": $((GATEWAYS * 2 + 10)), \"max-connections\": $((GATEWAYS * 10 + 50))}"
}

# The relay's account. It may read every account's queue, and publish receipts; nothing else.
relay_account() {
    relay_name relay_account "${1-}" || return
    relay_step relay_account add_user "$1" || return
    relay_step relay_account set_permissions -p "$VHOST" "$1" \
        '^$' '^clinic\.receipts$' '^clinic\.relay\.[A-Za-z0-9_-]+\.intake$'
}

# A clinic's account, with its exchange and queues. It may publish to its own queue alone and read its receipts alone.
# In the gateway's [queue.amqp]: declare = false, exchange = "clinic.relay.NAME", queue = "clinic.relay.NAME.intake",
# receipts_queue = "clinic.receipts.NAME". In mix-relay.toml: an entry of [[accounts]].
# An account that a failure left half-made has no rights yet: take it away with remove_clinic_account, and call this again.
clinic_account() {
    clinic_queues "${1-}" || return
    relay_step clinic_account add_user "$1" || return
    relay_step clinic_account set_user_limits "$1" '{"max-connections": 8, "max-channels": 64}' || return
    relay_step clinic_account set_permissions -p "$VHOST" "$1" '^$' "^clinic\\.relay\\.$1\$" "^clinic\\.receipts\\.$1\$"
}

# Makes an account's exchange and queues, where they are missing. A full queue refuses what is more, and the gateway keeps it. The
# broker counts how often a batch was handed out; the limit is so high that a relay that is long away loses none.
clinic_queues() {
    relay_name clinic_queues "${1-}" || return
    relay_step clinic_queues import_definitions <<END
{"exchanges": [
   {"vhost": "$VHOST", "name": "clinic.receipts", "type": "fanout", "durable": true,
    "auto_delete": false, "internal": false, "arguments": {}},
   {"vhost": "$VHOST", "name": "clinic.relay.$1", "type": "direct", "durable": true,
    "auto_delete": false, "internal": false, "arguments": {}}],
 "queues": [
   {"vhost": "$VHOST", "name": "clinic.relay.$1.intake", "durable": true, "auto_delete": false,
    "arguments": {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length-bytes": 268435456,
     "x-delivery-limit": 1000000}},
   {"vhost": "$VHOST", "name": "clinic.receipts.$1", "durable": true, "auto_delete": false,
    "arguments": {"x-queue-type": "classic"}}],
 "bindings": [
   {"vhost": "$VHOST", "source": "clinic.relay.$1", "destination": "clinic.relay.$1.intake",
    "destination_type": "queue", "routing_key": "clinic.relay.$1.intake", "arguments": {}},
   {"vhost": "$VHOST", "source": "clinic.receipts", "destination": "clinic.receipts.$1",
    "destination_type": "queue", "routing_key": "", "arguments": {}}]}
END
}

# Takes a clinic's account away, with its queues: each, also where the others are gone already. What waited for the relay goes with
# it. The exchange stays, without a queue behind it: rabbitmqctl cannot delete one.
remove_clinic_account() {
    relay_name remove_clinic_account "${1-}" || return
    relay_removed=yes
    rabbitmqctl delete_user "$1" || relay_removed=no
    rabbitmqctl delete_queue -p "$VHOST" "clinic.relay.$1.intake" || relay_removed=no
    rabbitmqctl delete_queue -p "$VHOST" "clinic.receipts.$1" || relay_removed=no
    [ "$relay_removed" = yes ] && return
    echo "remove_clinic_account: not the account and both its queues were taken away, see above" >&2
    return 1
}

# relay_vhost
# relay_base
# relay_account mix-relay
# clinic_account clinic-1
