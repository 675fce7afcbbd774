// Package stores runs the module in front of real S3 stores, versitygw and rclone. It
// compares the decisions with those of versitygw's own CORS engine, replaces the CORS
// headers that rclone sends, and runs examples/private-bucket in a browser.
//
//	cd test && go test ./stores
package stores
