//! Where migrations come from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the migration files come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.configMaps) != has(self.inline)")
        .message("exactly one of configMaps and inline must be given")
)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// ConfigMaps of the same namespace whose keys are file names. Several make one set, because one
    /// ConfigMap holds at most 1 MiB; a file name may occur only once. At most 20.
    ///
    /// A ConfigMap whose name carries a hash of its content (kustomize makes such) lets Git roll
    /// back files and list together. The operator needs the right to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["name"]
        )
    )]
    pub config_maps: Option<Vec<ConfigMapSource>>,

    /// The files themselves: file name to SQL text. For a few small scripts: at most 200 files and
    /// 262144 characters in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        extend(
            "minProperties" = 1,
            "maxProperties" = 200,
            "additionalProperties" = {"type": "string", "maxLength": 262_144}
        )
    )]
    #[x_kube(
        validation = Rule::new("self.map(file, size(self[file])).sum() <= 262144")
            .message("the files may have 262144 characters in all; put larger ones into ConfigMaps")
    )]
    pub inline: Option<BTreeMap<String, String>>,
}

/// A ConfigMap with migration files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapSource {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl Source {
    /// The source in a few words, for the wide columns of `kubectl get`.
    #[must_use]
    pub fn summary(&self) -> String {
        let config_maps = self.config_maps.iter().flatten();
        let mut parts: Vec<String> = config_maps
            .map(|config_map| format!("ConfigMap/{}", config_map.name))
            .collect();
        match self.inline.as_ref().map(BTreeMap::len) {
            None => {}
            Some(1) => parts.push("inline (1 file)".to_owned()),
            Some(files) => parts.push(format!("inline ({files} files)")),
        }
        if parts.len() > 2 {
            let more = parts.len() - 1;
            parts.truncate(1);
            parts.push(format!("{more} more"));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_maps(names: &[&str]) -> Source {
        Source {
            config_maps: Some(
                names
                    .iter()
                    .map(|name| ConfigMapSource {
                        name: (*name).to_owned(),
                    })
                    .collect(),
            ),
            inline: None,
        }
    }

    #[test]
    fn a_summary_fits_into_a_column() {
        let file = |name: &str| (name.to_owned(), "SELECT 1".to_owned());
        let inline = Source {
            config_maps: None,
            inline: Some(BTreeMap::from([file("1_a_UP.sql"), file("2_b_UP.sql")])),
        };
        for (source, expected) in [
            (config_maps(&["a"]), "ConfigMap/a"),
            (config_maps(&["a", "b"]), "ConfigMap/a, ConfigMap/b"),
            (config_maps(&["a", "b", "c"]), "ConfigMap/a, 2 more"),
            (inline, "inline (2 files)"),
            (Source::default(), ""),
        ] {
            assert_eq!(source.summary(), expected);
        }
    }
}
