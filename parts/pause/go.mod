module schemaward.dev/parts/pause

go 1.26.0
