"""A server that speaks TensorFlow Serving's REST and gRPC protocols.

`places` finds models and their versions on the disk, `servable` loads one version and checks it, `models`
keeps what is served up to date, `tensors` turns JSON into arrays and back, `batching` merges requests,
`calls` runs them, `application` answers over HTTP and `grpc_server` over gRPC, `server` runs it all as
`settings` say. With several workers, `supervisor` looks after processes that each run a `worker`, `ports`
gives them their sockets, and `news` puts together what they say of versions. `label_studio` answers Label
Studio, whose media and answers `studio_site` fetches and `studio_training` learns from.

This file imports nothing, so that a mistake in a path or a setting is reported before TensorFlow loads.
"""
