//! The files that a pod mounts, as the kubelet lays them out: each volume's files are links through `..data` to a folder
//! with the time of writing; a `subPath` is a plain file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{
        ConfigMap, KeyToPath, Secret, ServiceAccount, ServiceAccountTokenProjection, Volume,
        VolumeProjection,
    },
};
use kube::api::PostParams;

use super::{
    place::{Error, Place},
    root::{inside, set_mode},
};

/// The files of a volume: by their paths, their contents.
type Files = BTreeMap<String, Vec<u8>>;

/// A volume that is mounted as a whole: its files follow its Secret or `ConfigMap`. What a `subPath` mounts does not.
pub(super) struct Live {
    target: PathBuf,
    volume: Volume,
    mode: u32,
    files: Files,
    /// How often its files were written.
    writes: u32,
}

/// Makes everything that the container mounts, below `root`.
pub(super) async fn mount(root: &Path, place: &Place) -> Result<Vec<Live>, Error> {
    let spec = place.pod.spec.as_ref();
    let volumes = spec
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    let mut mounts: Vec<_> = place.container.volume_mounts.iter().flatten().collect();
    mounts.sort_by_key(|mount| mount.mount_path.len()); // outer ones first
    let mut live = Vec::new();
    for mount in mounts {
        let volume = volumes.iter().find(|volume| volume.name == mount.name);
        let volume = volume.ok_or_else(|| Error::Unfit(format!("no volume {}", mount.name)))?;
        let target = inside(root, Path::new(&mount.mount_path));
        let Some((files, mode)) = files(place, volume).await? else {
            fs::create_dir_all(&target)?; // an emptyDir
            set_mode(&target, 0o777)?;
            continue;
        };
        match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
            None => live.push(Live::new(target, volume.clone(), mode, files)?),
            Some(path) => {
                let content = files.get(path);
                let missing = || Error::Unfit(format!("{} has no file {path}", volume.name));
                write(&target, content.ok_or_else(missing)?, mode)?;
            }
        }
    }
    Ok(live)
}

impl Live {
    fn new(target: PathBuf, volume: Volume, mode: u32, files: Files) -> io::Result<Self> {
        fs::create_dir_all(&target)?;
        let mut live = Self {
            target,
            volume,
            mode,
            files: Files::new(),
            writes: 0,
        };
        live.write(files)?;
        Ok(live)
    }

    /// Updates the files from its object. Projected tokens stay: they outlive every test.
    pub(super) async fn follow(&mut self, place: &Place) -> Result<(), Error> {
        let projected = self.volume.projected.iter();
        let mut sources = projected.flat_map(|projected| projected.sources.iter().flatten());
        if sources.any(|source| source.service_account_token.is_some()) {
            return Ok(());
        }
        let found = files(place, &self.volume).await?;
        match found.filter(|(files, _)| *files != self.files) {
            Some((files, _)) => Ok(self.write(files)?),
            None => Ok(()),
        }
    }

    /// Writes a new folder and points `..data` there atomically
    /// (<https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>).
    fn write(&mut self, files: Files) -> io::Result<()> {
        let folder = |number| format!("..2026_01_01_00_00_00.{number:010}");
        let (old, new) = (folder(self.writes), folder(self.writes + 1));
        fs::create_dir_all(self.target.join(&new))?;
        for (path, content) in &files {
            let file = inside(&self.target.join(&new), Path::new(path));
            write(&file, content, self.mode)?;
        }
        let (data, next) = (self.target.join("..data"), self.target.join("..data_tmp"));
        symlink(&new, &next)?;
        fs::rename(next, data)?;
        let (before, after) = (tops(&self.files), tops(&files));
        for top in after.difference(&before) {
            symlink(Path::new("..data").join(top), self.target.join(top))?;
        }
        for top in before.difference(&after) {
            fs::remove_file(self.target.join(top))?;
        }
        if self.writes > 0 {
            fs::remove_dir_all(self.target.join(old))?;
        }
        self.writes += 1;
        self.files = files;
        Ok(())
    }
}

/// The first parts of paths.
fn tops(files: &Files) -> BTreeSet<String> {
    let tops = files.keys().filter_map(|path| path.split('/').next());
    tops.map(str::to_owned).collect()
}

fn write(file: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, content)?;
    set_mode(file, mode)
}

/// The files of a volume and their mode; `None` for an `emptyDir`.
async fn files(place: &Place, volume: &Volume) -> Result<Option<(Files, u32)>, Error> {
    let (files, mode) = if let Some(source) = &volume.config_map {
        let optional = source.optional == Some(true);
        let data = config_map(place, &source.name).await;
        (
            picked(data, source.items.as_deref(), optional)?,
            source.default_mode,
        )
    } else if let Some(source) = &volume.secret {
        let optional = source.optional == Some(true);
        let data = secret(place, source.secret_name.as_deref().unwrap_or_default()).await;
        (
            picked(data, source.items.as_deref(), optional)?,
            source.default_mode,
        )
    } else if let Some(source) = &volume.projected {
        let mut files = Files::new();
        for source in source.sources.iter().flatten() {
            files.extend(projected(place, source).await?);
        }
        (files, source.default_mode)
    } else if volume.empty_dir.is_some() {
        return Ok(None);
    } else {
        let text = format!("the kind of the volume {} is not known here", volume.name);
        return Err(Error::Unfit(text));
    };
    let mode = mode.and_then(|mode| u32::try_from(mode).ok());
    Ok(Some((files, mode.unwrap_or(0o644))))
}

async fn projected(place: &Place, source: &VolumeProjection) -> Result<Files, Error> {
    if let Some(token) = &source.service_account_token {
        return Ok(Files::from([(
            token.path.clone(),
            self::token(place, token).await?,
        )]));
    }
    if let Some(source) = &source.config_map {
        let data = config_map(place, &source.name).await;
        return picked(data, source.items.as_deref(), source.optional == Some(true));
    }
    if let Some(source) = &source.secret {
        let data = secret(place, &source.name).await;
        return picked(data, source.items.as_deref(), source.optional == Some(true));
    }
    let items = source
        .downward_api
        .iter()
        .flat_map(|source| source.items.iter().flatten());
    let namespace = |field: &str| (field == "metadata.namespace").then(|| place.namespace());
    let known = items.filter_map(|item| {
        let value = namespace(&item.field_ref.as_ref()?.field_path)?;
        Some((item.path.clone(), value.as_bytes().to_vec()))
    });
    Ok(known.collect())
}

/// The keys that `items` name, under their paths, or all.
fn picked(
    data: Result<Files, Error>,
    items: Option<&[KeyToPath]>,
    optional: bool,
) -> Result<Files, Error> {
    let mut data = match data {
        Err(_) if optional => return Ok(Files::new()),
        other => other?,
    };
    let Some(items) = items else { return Ok(data) };
    let mut files = Files::new();
    for item in items {
        match data.remove(&item.key) {
            Some(content) => drop(files.insert(item.path.clone(), content)),
            None if optional => {}
            None => {
                return Err(Error::Unfit(format!(
                    "references non-existent key: {}",
                    item.key
                )));
            }
        }
    }
    Ok(files)
}

/// The data of a Secret.
pub(super) async fn secret(place: &Place, name: &str) -> Result<Files, Error> {
    let secret = place.api::<Secret>().get(name).await;
    let secret = secret.map_err(Error::read("Secret", name))?;
    let data = secret.data.unwrap_or_default().into_iter();
    Ok(data.map(|(key, value)| (key, value.0)).collect())
}

async fn config_map(place: &Place, name: &str) -> Result<Files, Error> {
    let map = place.api::<ConfigMap>().get(name).await;
    let map = map.map_err(Error::read("ConfigMap", name))?;
    let text = map.data.unwrap_or_default().into_iter();
    let text = text.map(|(key, value)| (key, value.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter();
    Ok(text
        .chain(binary.map(|(key, value)| (key, value.0)))
        .collect())
}

/// A token of the pod's service account.
async fn token(
    place: &Place,
    projection: &ServiceAccountTokenProjection,
) -> Result<Vec<u8>, Error> {
    let spec = place.pod.spec.as_ref();
    let account = spec.and_then(|spec| spec.service_account_name.as_deref());
    let account = account.unwrap_or("default");
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: projection.audience.iter().cloned().collect(),
            expiration_seconds: projection.expiration_seconds,
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = place
        .api::<ServiceAccount>()
        .create_token_request(account, &PostParams::default(), &request)
        .await;
    let answer = answer.map_err(Error::read("a token of the ServiceAccount", account))?;
    let token = answer.status.map(|status| status.token.into_bytes());
    token.ok_or_else(|| Error::Unfit(format!("no token for the ServiceAccount {account}")))
}
