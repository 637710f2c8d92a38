// Builds Alertmanager and amtool from their released module. Later releases embed web assets that the module does not carry.
module alertmanager

go 1.24.0

tool (
	github.com/prometheus/alertmanager/cmd/alertmanager
	github.com/prometheus/alertmanager/cmd/amtool
)

require github.com/prometheus/alertmanager v0.31.1
