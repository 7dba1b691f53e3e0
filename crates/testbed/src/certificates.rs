//! Certificate authorities, server certificates for 127.0.0.1 and signing keys, made anew for each server.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Why a key or certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make the {what}")]
pub struct Error {
    what: &'static str,
    source: rcgen::Error,
}

fn fail(what: &'static str) -> impl FnOnce(rcgen::Error) -> Error {
    move |source| Error { what, source }
}

/// An authority that signs server certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// What a TLS server on 127.0.0.1 presents, or a client.
pub struct Identity {
    /// The certificate in PEM.
    pub certificate: String,
    /// Its private key in PEM (PKCS #8).
    pub key: String,
    certificate_der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

/// The names of servers: a name that only a proxy resolves among them.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "registry.test"];

impl Authority {
    /// Makes an authority of this name.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn new(name: &str) -> Result<Self, Error> {
        let fail = || fail("certificate authority");
        let key = KeyPair::generate().map_err(fail())?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = common_name(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = parameters.self_signed(&key).map_err(fail())?.pem();
        let issuer = Issuer::new(parameters, key);
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// The authority's certificate in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Makes a server certificate for 127.0.0.1, `localhost` and `registry.test`, a name that only a proxy resolves.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn issue(&self) -> Result<Identity, Error> {
        let mut parameters = server_parameters()?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters, "server certificate")
    }

    /// Makes a server certificate for a host of any name.
    ///
    /// # Errors
    ///
    /// When the name is invalid, or the system has no random numbers.
    pub(crate) fn issue_for(&self, host: &str) -> Result<Identity, Error> {
        let mut parameters =
            CertificateParams::new([host.to_owned()]).map_err(fail("server certificate"))?;
        parameters.distinguished_name = common_name("testbed host");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters, "server certificate")
    }

    /// Makes a certificate that identifies a client to Kubernetes
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(crate) fn issue_client(&self, user: &str, group: &str) -> Result<Identity, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = common_name(user);
        let name = &mut parameters.distinguished_name;
        name.push(DnType::OrganizationName, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters, "client certificate")
    }

    fn sign(&self, parameters: &CertificateParams, what: &'static str) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(fail(what))?;
        let signed = parameters.signed_by(&key, &self.issuer);
        Ok(Identity::new(&signed.map_err(fail(what))?, &key))
    }
}

impl Identity {
    /// Makes a server certificate for the same names that is its own authority, as `openssl req -x509` does.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn own_authority() -> Result<Self, Error> {
        let what = "server certificate";
        let mut parameters = server_parameters()?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(fail(what))?;
        let certificate = parameters.self_signed(&key).map_err(fail(what))?;
        Ok(Self::new(&certificate, &key))
    }

    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            certificate_der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// The settings of a TLS server in this process that presents the identity and speaks HTTP/1.1.
    ///
    /// # Errors
    ///
    /// When the library rejects the certificate, which does not happen.
    pub fn server_settings(&self) -> Result<rustls::ServerConfig, rustls::Error> {
        let provider = rustls::crypto::ring::default_provider().into();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate_der.clone()], key)
    }
}

/// Makes a P-256 key pair that signs tokens.
pub(crate) fn signing_key() -> Result<KeyPair, Error> {
    KeyPair::generate().map_err(fail("signing key"))
}

fn server_parameters() -> Result<CertificateParams, Error> {
    let names = NAMES.map(str::to_owned);
    let mut parameters = CertificateParams::new(names).map_err(fail("server certificate"))?;
    parameters.distinguished_name = common_name("testbed server");
    Ok(parameters)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
