package main

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// describe tells all that a failed call says, a line each: code, stable reason, message, bad fields,
// and when the same request may succeed.
func describe(err error) string {
	failed, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	reason, more := "", []string{}
	for _, detail := range failed.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = fmt.Sprintf(" (%s)", d.Reason)
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				more = append(more, fmt.Sprintf("  %s: %s", v.Field, v.Description))
			}
		case *errdetails.RetryInfo:
			more = append(more, fmt.Sprintf("  retry in %g s", d.RetryDelay.AsDuration().Seconds()))
		}
	}
	head := fmt.Sprintf("%s%s: %s", code.Code(failed.Code()), reason, failed.Message())
	return strings.Join(append([]string{head}, more...), "\n")
}
