# RabbitMQ of a city: accounts with the least rights, policies and limits. `city-registry init` writes this file.
# For a POSIX shell (`. ./rabbitmq-setup.sh`), as the broker's administrator. Passwords are read from standard input.
# Before it, in rabbitmq.conf (no message of ours is longer):
#   max_message_size = 4194304
#   channel_max = 64

VHOST=/         # virtual host that the city uses alone
GATEWAYS=100    # number of gateways at most

# Runs a command of rabbitmqctl for the function named first, which stops if this fails.
setup_step() {
    setup_caller=$1
    shift
    rabbitmqctl "$@" && return
    echo "$setup_caller: \`rabbitmqctl $1\` failed, see above; nothing further was done" >&2
    return 1
}

# Takes a name for an account that stands for itself in permissions and in names of queues.
setup_name() {
    case "${2-}" in
    '' | *[!A-Za-z0-9_-]*)
        echo "$1: needs the account's name, of letters, digits, - and _" >&2
        return 2
        ;;
    esac
}

# Makes the virtual host, where VHOST is not the / that every broker has. Before everything else.
city_vhost() {
    setup_step city_vhost add_vhost "$VHOST"
}

# The registry's account. It makes the exchanges and queues itself (`city-registry check` does, too).
# rights: all of ours, and queues of its own for `check`
registry_account() {
    setup_name registry_account "${1-}" || return
    setup_step registry_account add_user "$1" || return
    setup_step registry_account set_permissions -p "$VHOST" "$1" \
        '^(clinic\.|amq\.gen-)' '^(clinic\.|amq\.gen-)' '^(clinic\.|amq\.gen-)'
}

# A gateway's account. It may publish to one exchange and read one queue, made here for it; nothing else.
# In its [queue.amqp]: declare = false, receipts_queue = "clinic.receipts.NAME"
# An account that a failure left half-made has no rights yet: take it away with remove_gateway_account, and call this again.
gateway_account() {
    receipts_queue "${1-}" || return
    setup_step gateway_account add_user "$1" || return
    setup_step gateway_account set_user_limits "$1" '{"max-connections": 8, "max-channels": 64}' || return
    setup_step gateway_account set_permissions -p "$VHOST" "$1" '^$' '^clinic\.facts$' "^clinic\\.receipts\\.$1\$"
}

# Makes the queue of receipts of a gateway's account, where it is missing. What it held is not lost: gateways send again what
# no receipt came for.
# The definitions go over standard input: on Debian rabbitmqctl runs as the user rabbitmq, which may not read files of ours.
receipts_queue() {
    setup_name receipts_queue "${1-}" || return
    setup_step receipts_queue import_definitions <<END
{"exchanges": [{"vhost": "$VHOST", "name": "clinic.receipts", "type": "fanout", "durable": true,
  "auto_delete": false, "internal": false, "arguments": {}}],
 "queues": [{"vhost": "$VHOST", "name": "clinic.receipts.$1", "durable": true, "auto_delete": false,
  "arguments": {"x-queue-type": "classic"}}],
 "bindings": [{"vhost": "$VHOST", "source": "clinic.receipts", "destination": "clinic.receipts.$1",
  "destination_type": "queue", "routing_key": "", "arguments": {}}]}
END
}

# Takes a gateway's account away, with its queue: each, also where the other is gone already.
remove_gateway_account() {
    setup_name remove_gateway_account "${1-}" || return
    setup_removed=yes
    rabbitmqctl delete_user "$1" || setup_removed=no
    rabbitmqctl delete_queue -p "$VHOST" "clinic.receipts.$1" || setup_removed=no
    [ "$setup_removed" = yes ] && return
    echo "remove_gateway_account: not both the account and its queue were taken away, see above" >&2
    return 1
}

# Lengths and ages: receipts for 48 hours; queues that the broker has named do not outlive their readers.
city_policies() {
    setup_step city_policies set_policy -p "$VHOST" --apply-to queues clinic-receipts '^clinic\.receipts\.' \
        '{"message-ttl": 172800000, "max-length-bytes": 67108864}' || return
    setup_step city_policies set_policy -p "$VHOST" --apply-to queues clinic-left-over '^amq\.gen-' \
        '{"expires": 60000, "message-ttl": 3600000, "max-length-bytes": 67108864}' || return
    # The registry makes its queues with the same limits; lower ones may be set here. On RabbitMQ 4 add
    # "delivery-limit": -1 to the second, which then keeps a dead letter however often it is looked at.
    setup_step city_policies set_policy -p "$VHOST" --apply-to queues clinic-intake '^clinic\.facts\.intake$' \
        '{"max-length-bytes": 4294967296}' || return
    setup_step city_policies set_policy -p "$VHOST" --apply-to queues clinic-dead '^clinic\.facts\.dead$' \
        '{"max-length": 10000, "max-length-bytes": 536870912}' || return
    setup_step city_policies set_vhost_limits -p "$VHOST" \
        "{\"max-queues\": $((GATEWAYS * 2 + 10)), \"max-connections\": $((GATEWAYS * 8 + 50))}"
}

# city_vhost
# city_policies
# registry_account city-registry
# gateway_account gateway-1
