//! What a broker (or what stands in its place) refused, in words, with the cure that fits.
//!
//! Brokers tell the reason only in text, and so do TLS and the resolver below them; the texts here are those of RabbitMQ
//! 3.8 to 4, of rustls and of the system. What is not known gets the general cure. No text ever holds a password: the
//! address is never quoted.

use std::{error::Error as _, fmt};

/// Why something was refused and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What happened, with the name of what it happened to.
    pub(super) why: String,
    /// What to do.
    pub(super) cure: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.why, self.cure)
    }
}

/// Whom we talk to, for the cures.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Host and port.
    pub(super) place: String,
    pub(super) host: String,
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) is_tls: bool,
}

impl Refusal {
    /// Of an error while connecting or on a connection.
    pub(super) fn of(error: &lapin::Error, peer: &Peer) -> Self {
        Self::said(&words(error), peer)
    }

    /// Of what somebody said.
    pub(super) fn said(said: &str, peer: &Peer) -> Self {
        Self {
            why: format!("{}: {said}", peer.place),
            cure: cure(said, peer),
        }
    }

    /// Of an attempt to do something to something.
    pub(super) fn to(action: &str, name: &str, error: &lapin::Error, peer: &Peer) -> Self {
        let said = words(error);
        Self {
            why: format!("the broker refuses to {action} {name}: {said}"),
            cure: cure(&said, peer),
        }
    }

    /// Of silence.
    pub(super) fn silence(action: &str, seconds: u64, peer: &Peer) -> Self {
        Self {
            why: format!("{} does not answer within {seconds} s: {action}", peer.place),
            cure: "the broker is there and hangs, or something on the way swallows its answers: look at its log and \
                   load, at firewalls and proxies between; it is tried again"
                .into(),
        }
    }
}

/// The words of an error and of what caused it, each once.
fn words(error: &lapin::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn cure(said: &str, peer: &Peer) -> String {
    let text = said.to_lowercase().replace(['-', '_'], " ");
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let Peer { host, user, vhost, .. } = peer;
    if has(&["access refused"]) && has(&["login was refused", "authentication"]) || text.ends_with("access refused") {
        return format!(
            "user or password is wrong: look at amqp.user and amqp.password (on the broker: rabbitmqctl \
             authenticate_user {user:?}); the user `guest` may only come from the broker's own machine"
        );
    }
    if has(&["limit"]) && has(&["not allowed", "channel max", "connection limit", "channel limit"]) {
        return format!(
            "a limit of user {user:?} or of virtual host {vhost:?} is reached: look at rabbitmqctl \
             list_user_limits and list_vhost_limits, and for clients that hold connections"
        );
    }
    if has(&["no exchange", "no queue"]) {
        return "create it, or set amqp.topology to declare".into();
    }
    if has(&["vhost"]) && has(&["not found"]) || has(&["vhost"]) && has(&["is down"]) {
        return format!("make or mend the virtual host: rabbitmqctl add_vhost {vhost:?}, or restart_vhost");
    }
    if has(&["access to vhost", "not allowed"]) {
        return format!(
            "make the virtual host and give the user rights: rabbitmqctl add_vhost {vhost:?}, rabbitmqctl \
             set_permissions -p {vhost:?} {user:?} …"
        );
    }
    if has(&["access refused"]) {
        return format!(
            "give the user the right: rabbitmqctl set_permissions -p {vhost:?} {user:?} CONFIGURE WRITE READ; to \
             publish it needs write on the exchange, to declare also configure on exchanges and queues, to bind write \
             on the queue and read on the exchange; or set amqp.topology to verify or none"
        );
    }
    if has(&["inequivalent", "precondition"]) {
        return "it exists with other properties: make them equal (delete it when it is empty and let Priem declare \
                it), or set amqp.topology to verify"
            .into();
    }
    if has(&["unknownissuer", "unknown issuer", "unknownca", "unknown ca"]) {
        return "the certificate is signed by nobody we trust: name its authority in amqp.tls.ca_file".into();
    }
    if has(&["notvalidforname", "not valid for"]) {
        return format!("the broker's certificate is for other names than {host:?}: write one of them into amqp.url");
    }
    if has(&["expired", "notvalidyet", "not valid yet"]) {
        return "the broker's certificate is out of date: renew it there; or the clock of this machine is wrong \
                (timedatectl)"
            .into();
    }
    if has(&[
        "certificaterequired",
        "certificate required",
        "badcertificate",
        "bad certificate",
        "nocertificatespresented",
    ]) {
        return "the broker wants a client certificate it trusts: amqp.tls.certificate_file and amqp.tls.key".into();
    }
    if has(&["invalidcontenttype", "corrupt message", "invalidmessage"]) {
        return "what answers does not speak TLS: write amqp:// for that port, or take the TLS port (5671)".into();
    }
    if has(&[
        "protocolversion",
        "protocol version",
        "handshakefailure",
        "handshake failure",
    ]) {
        return "the broker offers only old TLS: let it speak TLS 1.2 or 1.3 (ssl_options.versions)".into();
    }
    if has(&[
        "lookup address",
        "name or service",
        "no such host",
        "nodename nor servname",
    ]) {
        return format!("the name {host:?} is not known: look at amqp.url, /etc/resolv.conf and /etc/hosts");
    }
    if has(&["connection refused"]) {
        return "nothing listens there: see that the broker runs, and that the port is right (5672, with TLS 5671)"
            .into();
    }
    if has(&["timed out", "does not answer", "unreachable", "no route"]) {
        return "the machine is not reached: look at the address, the network and firewalls between".into();
    }
    if has(&[
        "parse",
        "unexpected eof",
        "end of file",
        "reset by peer",
        "broken pipe",
        "invalid frame",
        "protocol version",
    ]) {
        return match peer.is_tls {
            true => {
                // The alert that says so may be lost with the connection.
                "the connection was cut during the handshake: see that the port speaks TLS, whether the broker asks for a \
                 certificate of ours (amqp.tls.certificate_file), and the broker's log"
                    .into()
            }
            false => "no AMQP broker without TLS answers there: a TLS port (5671) needs amqps://, and 15672 is the \
                      port of the management page; see also the broker's log"
                .into(),
        };
    }
    "see that the broker runs and that address and user are right; its log says more".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(is_tls: bool) -> Peer {
        Peer {
            place: "mq.example.ru:5672".into(),
            host: "mq.example.ru".into(),
            user: "priem".into(),
            vhost: "t".into(),
            is_tls,
        }
    }

    #[test]
    fn every_refusal_has_its_own_cure() {
        for (said, cure) in [
            (
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
                "amqp.password",
            ),
            ("NOT_ALLOWED - vhost t not found", "add_vhost"),
            (
                "NOT_ALLOWED - access to vhost 't' refused for user 'priem'",
                "set_permissions",
            ),
            (
                "NOT_ALLOWED - access to vhost 't' refused for user 'priem': user connection limit (0) is reached",
                "list_user_limits",
            ),
            (
                "ACCESS_REFUSED - access to exchange 'priem' in vhost 't' refused for user 'priem'",
                "write on the exchange",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost 't'",
                "other properties",
            ),
            (
                "NOT_FOUND - no exchange 'priem' in vhost 't'",
                "amqp.topology to declare",
            ),
            ("IO error: Connection refused (os error 111)", "5671"),
            (
                "IO error: failed to lookup address information: Name or service not known",
                "resolv.conf",
            ),
            ("IO error: Connection timed out (os error 110)", "firewalls"),
            ("invalid peer certificate: UnknownIssuer", "amqp.tls.ca_file"),
            (
                "invalid peer certificate: certificate not valid for name \"h\"",
                "other names",
            ),
            (
                "invalid peer certificate: certificate expired: verification time …",
                "timedatectl",
            ),
            ("received fatal alert: CertificateRequired", "amqp.tls.certificate_file"),
            ("received corrupt message of type InvalidContentType", "amqp://"),
            ("failed to parse frame", "amqps://"),
            ("something new", "its log"),
        ] {
            let refusal = Refusal::said(said, &peer(false));
            assert!(refusal.cure.contains(cure), "{said}: {}", refusal.cure);
            assert!(refusal.why.contains(said) && refusal.why.contains("mq.example.ru:5672"));
        }
    }
}
