package harness

// Messages of OSS for OPTIONS requests that it denies, with its own spelling.
const (
	OSSNotAllowed    = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec."
	OSSNotEnabled    = "CORSResponse: CORS is not enabled for this bucket."
	OSSMissingOrigin = "Insufficient information. Origin request header needed."
	OSSMissingMethod = "Insufficient information. Request Access-Control-Request-Method header needed."
)
