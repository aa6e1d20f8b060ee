"""A server that speaks TensorFlow Serving's REST protocol.

`places` finds models and their versions on the disk, `servable` loads one version and checks it, `models`
keeps what is served up to date, `tensors` turns JSON into arrays and back, `batching` merges requests,
`application` answers them, `server` runs it all as `settings` say.

Nothing is imported here: a mistake in a path or a setting is told before TensorFlow has been waited for.
"""
