#!/usr/bin/env python3
"""What a schema does not see in config/kubernetes: names and ports that must agree with each other."""
import json
import pathlib

import yaml

HERE = pathlib.Path(__file__).resolve().parents[2] / "config" / "kubernetes"


def read(name):
    return yaml.safe_load((HERE / name).read_text())


service, pods, kustomization = read("service.yaml"), read("statefulset.yaml"), read("kustomization.yaml")
replicas, labels = pods["spec"]["replicas"], pods["spec"]["template"]["metadata"]["labels"]
container = pods["spec"]["template"]["spec"]["containers"][0]
assert pods["spec"]["serviceName"] == service["metadata"]["name"], "the pods' names are those of the service"
assert service["spec"]["selector"] == labels == pods["spec"]["selector"]["matchLabels"], "the service selects the pods"
assert {port["targetPort"] for port in service["spec"]["ports"]} == {port["name"] for port in container["ports"]}
assert all((HERE / name).exists() for name in kustomization["resources"])
files = {name for generator in kustomization["configMapGenerator"] for name in generator["files"]}
assert files == {f"parkmesh-{n}.json" for n in range(replicas)}, "settings for each pod, by its name"
settings = [json.loads((HERE / f"parkmesh-{n}.json").read_text()) for n in range(replicas)]
me = [one["this_central"]["id"] for one in settings]
for n, one in enumerate(settings):
    assert one["this_central"]["ip"] == f"parkmesh-{n}.{service['metadata']['name']}"
    assert {peer["id"] for peer in one["peer_centrals"]} == set(me) - {me[n]}, "everybody knows everybody"
print("names and ports agree")
