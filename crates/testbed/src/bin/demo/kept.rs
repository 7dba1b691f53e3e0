//! Instructions for a demo that is kept.

use kube_autorollout_testbed::{Testbed, controller::Controller};

/// The commands to go on with.
pub(super) fn instructions(
    testbed: &Testbed,
    controller: &Controller,
    namespace: &str,
    image: &str,
) -> String {
    format!(
        "\nEverything runs on until Ctrl-C.\n\n\
         export KUBECONFIG={kubeconfig}\n\
         registry            {registry} (plain HTTP)\n\
         controller          {url}/metrics\n\
         its log             {log}\n\n\
         push another image  cargo demo -- push {image} v3\n\
         watch               kubectl --namespace {namespace} get deployments,pods,events --watch\n\
         stop the checks     kubectl --namespace {namespace} label deployment/web kube-autorollout/enabled-",
        kubeconfig = testbed.control_plane().kubeconfig().display(),
        registry = testbed.registry().host(),
        url = controller.url(),
        log = controller.log().display(),
    )
}
