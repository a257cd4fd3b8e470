//! `receive`: the sender is proven or refused, and what a proven sender brings is never dropped.

use bytes::Bytes;

use super::{HookSample, Subject, mutations, mutations::Mutation, normalize, report::Recorder, stored, without_panic};
use crate::{
    contract::{Admission, HookRequest, Item, Receipt, StreamKind},
    error::Refusal,
};

const CHECKS: [&str; 6] = [
    "receive.samples",
    "receive.unproven",
    "receive.admission",
    "receive.same_keys",
    "receive.hostile_input",
    "receive.unknown_values",
];

pub(super) fn examine(subject: &Subject, recorder: &mut Recorder) {
    let takes_webhooks = subject
        .connector
        .streams()
        .iter()
        .any(|stream| stream.kind == StreamKind::Webhook);
    if subject.hooks.is_empty() && !takes_webhooks {
        for check in CHECKS {
            recorder.not_applicable(check, "the subject has no webhook stream and no samples of requests");
        }
        return;
    }
    let outcome = samples(subject, recorder);
    recorder.record("receive.samples", outcome);
    let outcome = unproven(subject, recorder);
    recorder.record("receive.unproven", outcome);
    recorder.record("receive.admission", admission(subject));
    recorder.record("receive.same_keys", same_keys(subject));
    let outcome = hostile(subject, recorder);
    recorder.record("receive.hostile_input", outcome);
    recorder.record("receive.unknown_values", unknown_values(subject));
}

fn receive(subject: &Subject, request: &HookRequest) -> Result<Result<Receipt, Refusal>, String> {
    without_panic(|| subject.connector.receive(request))
}

/// The key the journal stores an item under.
fn keys(receipt: &Receipt) -> Vec<(String, Option<String>, Option<[u8; 16]>)> {
    let key = |item: &Item| (item.external_id.clone(), item.revision.clone(), item.fingerprint);
    receipt.items.iter().map(key).collect()
}

fn samples(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    if subject.hooks.is_empty() {
        return Err("there is a webhook stream and no sample of a request".into());
    }
    for sample in &subject.hooks {
        let failed = |why: String| Err(format!("{:?}: {why}", sample.name));
        match receive(subject, &(sample.prove)(sample.body.clone())) {
            Err(panic) => return failed(panic),
            Ok(Err(refusal)) => return failed(format!("refused: {refusal}")),
            Ok(Ok(receipt)) => {
                recorder.hear(sample.name, &String::from_utf8_lossy(&receipt.reply.body));
                if receipt.items.len() != sample.items {
                    return failed(format!("{} items instead of {}", receipt.items.len(), sample.items));
                }
                if !(200..300).contains(&receipt.reply.status) {
                    return failed(format!("answered {}", receipt.reply.status));
                }
                if let Some(item) = receipt.items.iter().find(|item| item.external_id.is_empty()) {
                    return failed(format!("an item of the format {:?} has no external id", item.format));
                }
            }
        }
    }
    Ok(format!("{} requests", subject.hooks.len()))
}

fn unproven(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    let mut count = 0;
    for sample in &subject.hooks {
        if sample.unproven.is_empty() {
            return Err(format!("{:?} has no request without proof", sample.name));
        }
        for (name, request, expected) in &sample.unproven {
            let place = format!("{:?}, {name}", sample.name);
            match receive(subject, request) {
                Err(panic) => return Err(format!("{place}: {panic}")),
                Ok(Ok(_)) => return Err(format!("{place}: taken")),
                Ok(Err(refusal)) => {
                    recorder.hear(&place, &format!("{refusal} {refusal:?}"));
                    if !matches!(refusal.status(), 401 | 403) {
                        return Err(format!("{place}: answered {}", refusal.status()));
                    }
                    if refusal != *expected {
                        return Err(format!("{place}: \"{refusal}\" instead of \"{expected}\""));
                    }
                }
            }
            count += 1;
        }
    }
    Ok(format!("{count} requests refused"))
}

/// The look at the head and `receive` agree: who is refused by the head is refused with the body too, in the same words,
/// and who is proven by the head is taken whatever the body is.
fn admission(subject: &Subject) -> Result<String, String> {
    let (mut proven, mut refused) = (0, 0);
    for sample in &subject.hooks {
        let samples = [("as it is sent", (sample.prove)(sample.body.clone()))];
        let unproven = sample
            .unproven
            .iter()
            .map(|(name, request, _)| (*name, request.clone()));
        let requests = samples.into_iter().chain(unproven);
        for (name, request) in requests {
            let place = format!("{:?}, {name}", sample.name);
            let mut head = request.clone();
            head.body = Bytes::new();
            let admitted =
                without_panic(|| subject.connector.admit(&head)).map_err(|panic| format!("{place}: {panic}"))?;
            let taken = receive(subject, &request).map_err(|panic| format!("{place}: {panic}"))?;
            match (admitted, taken) {
                (Err(early), Err(late)) if early == late => refused += 1,
                (Err(early), Err(late)) => return Err(format!("{place}: \"{early}\" by the head, then \"{late}\"")),
                (Err(early), Ok(_)) => {
                    return Err(format!(
                        "{place}: refused by the head ({early}) and taken with the body"
                    ));
                }
                (Ok(Admission::Proven), Err(late)) => {
                    return Err(format!("{place}: proven by the head and refused with the body: {late}"));
                }
                (Ok(Admission::Proven), Ok(_)) if sample.proof_in_body => {
                    return Err(format!("{place}: proven by the head, and its proof is in the body"));
                }
                (Ok(Admission::Proven), Ok(_)) => proven += 1,
                (Ok(Admission::ProofInBody), _) => {}
            }
        }
    }
    Ok(format!(
        "{proven} requests proven and {refused} refused before the body"
    ))
}

fn same_keys(subject: &Subject) -> Result<String, String> {
    for sample in &subject.hooks {
        let once = || match receive(subject, &(sample.prove)(sample.body.clone())) {
            Ok(Ok(receipt)) => Ok(keys(&receipt)),
            _ => Err(format!("{:?}: not taken", sample.name)),
        };
        if once()? != once()? {
            return Err(format!("{:?} gives other keys the second time", sample.name));
        }
    }
    Ok(format!("{} requests, twice", subject.hooks.len()))
}

fn hostile(subject: &Subject, recorder: &mut Recorder) -> Result<String, String> {
    let (mut count, mut refused) = (0, 0);
    for sample in subject.hooks.iter().filter(|sample| sample.items > 0) {
        for mutation in mutations::garbage().into_iter().chain(mutations::of(&sample.body)) {
            count += 1;
            if !taken_whole(subject, recorder, sample, mutation)? {
                refused += 1;
            }
        }
    }
    Ok(format!(
        "{count} bodies, {refused} of them refused because the proof in them was damaged"
    ))
}

/// Whether a proven body was taken; if so, all of it must be in items that can be normalised or quarantined.
fn taken_whole(
    subject: &Subject,
    recorder: &mut Recorder,
    sample: &HookSample,
    Mutation { name, body }: Mutation,
) -> Result<bool, String> {
    let place = format!("{:?}, {name}", sample.name);
    // Nothing, or a batch of nothing: there is nothing to lose.
    let empty = matches!(body.trim_ascii(), b"" | b"[]");
    let receipt = match receive(subject, &(sample.prove)(Bytes::from(body))) {
        Err(panic) => return Err(format!("{place}: {panic}")),
        Ok(Err(_)) if sample.proof_in_body => return Ok(false),
        Ok(Err(refusal)) => return Err(format!("{place}: proven and refused: {refusal}")),
        Ok(Ok(receipt)) => receipt,
    };
    if receipt.items.is_empty() && !empty && !sample.proof_in_body {
        return Err(format!("{place}: dropped"));
    }
    if !(200..300).contains(&receipt.reply.status) {
        return Err(format!("{place}: stored, yet answered {}", receipt.reply.status));
    }
    for item in receipt.items.iter().filter(|item| item.problem.is_none()) {
        let said = without_panic(|| subject.connector.normalize(&stored(subject, item)));
        normalize::hear(recorder, &place, &said);
        if let Err(panic) = said {
            return Err(format!("{place}: {panic}"));
        }
    }
    Ok(true)
}

fn unknown_values(subject: &Subject) -> Result<String, String> {
    let mut count = 0;
    for sample in subject.hooks.iter().filter(|sample| !sample.proof_in_body) {
        for Mutation { name, body } in mutations::unknown_additions(&sample.body) {
            match receive(subject, &(sample.prove)(Bytes::from(body))) {
                Ok(Ok(receipt)) if receipt.items.len() == sample.items => count += 1,
                Ok(Ok(receipt)) => {
                    let (got, wanted) = (receipt.items.len(), sample.items);
                    return Err(format!("{:?}, {name}: {got} items instead of {wanted}", sample.name));
                }
                Ok(Err(refusal)) => return Err(format!("{:?}, {name}: refused: {refusal}", sample.name)),
                Err(panic) => return Err(format!("{:?}, {name}: {panic}", sample.name)),
            }
        }
    }
    Ok(format!("{count} unknown keys"))
}
