//! The names of a kind, for our views of it.

/// Gives a view with a field `metadata` the names of the kind that it is a view of.
macro_rules! resource {
    ($view:ident) => {
        impl kube::Resource for $view {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                <v1::$view as k8s_openapi::Resource>::KIND.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                <v1::$view as k8s_openapi::Resource>::GROUP.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                <v1::$view as k8s_openapi::Resource>::VERSION.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                <Self as super::Workload>::PLURAL.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata.object
            }

            fn meta_mut(
                &mut self,
            ) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata.object
            }
        }
    };
}

pub(super) use resource;
