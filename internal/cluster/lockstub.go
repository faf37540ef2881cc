package cluster

import "context"

func (l *live) lockMachines(ctx context.Context) (release func(), err error) { return func() {}, nil }
