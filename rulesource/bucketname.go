package rulesource

// IsBucketName reports whether OSS allows the name: 3 to 63 of a-z, 0-9 and -, with no -
// at the ends. Only such a name has a document.
func IsBucketName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || 'z' < c) && (c < '0' || '9' < c) && c != '-' {
			return false
		}
	}
	return 3 <= len(name) && len(name) <= maxName && name[0] != '-' && name[len(name)-1] != '-'
}
