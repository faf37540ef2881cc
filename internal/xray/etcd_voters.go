package xray

import "fmt"

func etcdOddMembers(s *Scene) []Finding {
	teller, ok := s.etcdTeller()
	if !ok {
		return nil
	}
	where, n := teller.cluster(), len(voters(teller.Members))
	tolerated := plural((n-1)/2, "failure")
	switch {
	case n == 0:
		return nil
	case n == 1:
		return []Finding{where.warn("three voting members", "one: its failure ends service")}
	case n%2 == 0:
		return []Finding{where.warn("an odd number of voting members", fmt.Sprintf("%d, which tolerate %s, as %d do", n, tolerated, n-1))}
	case n > 7:
		return []Finding{where.warn("seven voting members at most", fmt.Sprintf("%d: each write waits for %d of them", n, n/2+1))}
	}
	return []Finding{where.pass("%d, which tolerate %s", n, tolerated)}
}

func etcdLearners(s *Scene) []Finding {
	teller, ok := s.etcdTeller()
	if !ok {
		return nil
	}
	var out []Finding
	for _, member := range teller.Members {
		if !member.Learner {
			continue
		}
		where, observed := teller.cluster(), memberName(member)+" is a learner"
		if m := s.memberMachine(member); m != nil {
			where = at{m.Name, teller.Endpoint}
			if m.Etcd != nil && m.Etcd.ID == "" {
				observed += " and does not answer: it cannot catch up"
			}
		}
		out = append(out, where.warn("voting members only", observed).
			fixed("etcdctl member promote %s when it has caught up, or etcdctl member remove %[1]s.", member.ID))
	}
	return orPass(out, teller.cluster(), "voting members only")
}
