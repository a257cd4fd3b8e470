//! The proofs of a sender. All that are named must hold.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use priem_sdk::{
    Admission, ConfigError, HookRequest, Refusal, Secret,
    webhook::{PathSecret, SharedSecret, SourceNetworks, require_header_secret},
};

use super::{certificate::Certificate, config::HookSettings, signature::Signature};

/// What a sender must show.
#[derive(Debug)]
pub struct Proofs {
    path: PathSecret,
    networks: SourceNetworks,
    methods: Vec<String>,
    authorization: Option<Authorization>,
    header: Option<(String, SharedSecret)>,
    certificate: Option<Certificate>,
    signature: Option<Signature>,
}

/// What follows `Authorization:`.
#[derive(Debug)]
struct Authorization {
    scheme: &'static str,
    secret: SharedSecret,
}

impl Proofs {
    /// Reads the secrets. `connector` is the name in the address.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn new(settings: &HookSettings, connector: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        let path = settings.path.read_for("path", base_dir)?;
        let authorization = match (&settings.bearer, &settings.basic) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    "basic",
                    "give one of `bearer` and `basic`: both use one header",
                ));
            }
            (Some(token), None) => Some(Authorization {
                scheme: "bearer",
                secret: SharedSecret::new(&token.read_for("bearer", base_dir)?),
            }),
            (None, Some(basic)) => {
                let user = basic.user.read("basic.user", base_dir)?;
                let password = basic.password.read_for("basic.password", base_dir)?;
                let pair = format!("{}:{}", user.expose(), password.expose());
                Some(Authorization {
                    scheme: "basic",
                    secret: SharedSecret::new(&Secret::new(BASE64_STANDARD.encode(pair))),
                })
            }
            (None, None) => None,
        };
        let header = match &settings.header {
            None => None,
            Some(header) => {
                let secret = header.secret.read_for("header.secret", base_dir)?;
                Some((header.name.to_ascii_lowercase(), SharedSecret::new(&secret)))
            }
        };
        let certificate = settings.client_certificate.as_ref();
        let certificate = certificate.map(Certificate::new).transpose()?;
        let signature = settings.signature.as_ref();
        Ok(Self {
            path: PathSecret::new(&path, "path")?,
            networks: settings.source_networks.clone(),
            methods: settings
                .methods
                .iter()
                .map(|method| method.to_ascii_uppercase())
                .collect(),
            authorization,
            header,
            certificate,
            signature: signature
                .map(|settings| Signature::new(settings, connector, base_dir))
                .transpose()?,
        })
    }

    /// Looks at the proofs that need no body, the cheap ones first, and says whether that was all.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn require_head(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        self.networks.require(head.peer)?;
        self.path.require(&head.path)?;
        if !self.methods.contains(&head.method) {
            return Err(Refusal::MethodNotAllowed);
        }
        if let Some(authorization) = &self.authorization {
            authorization.require(head)?;
        }
        if let Some((name, secret)) = &self.header {
            require_header_secret(head, name, secret)?;
        }
        if let Some(certificate) = &self.certificate {
            certificate.require(head)?;
        }
        Ok(match self.signature {
            Some(_) => Admission::ProofInBody,
            None => Admission::Proven,
        })
    }

    /// Looks at all proofs.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn require(&self, request: &HookRequest) -> Result<(), Refusal> {
        self.require_head(request)?;
        match &self.signature {
            Some(signature) => signature.require(request),
            None => Ok(()),
        }
    }
}

impl Authorization {
    fn require(&self, request: &HookRequest) -> Result<(), Refusal> {
        let given = request.header("authorization").ok_or(Refusal::Unauthenticated)?;
        let (scheme, secret) = given.trim().split_once(' ').ok_or(Refusal::Forbidden)?;
        if scheme.eq_ignore_ascii_case(self.scheme) && self.secret.matches(secret.trim().as_bytes()) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }
}
