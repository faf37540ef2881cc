package apply

import "github.com/haplane/haplane/internal/change"

// verbs are all that a step can be.
var verbs map[string]verb

func init() {
	verbs = map[string]verb{
		change.IssueCertificates: {Do: issueCertificates},
		change.CreateMachine:     {Done: machineAnswers, Do: createMachine},
		change.StartMachine:      {Done: machineAnswers, Do: startMachine},
		change.RemoveMachine:     {Do: removeMachine, Final: true},
		change.WriteFiles:        {Done: filesCurrent, Do: writeFiles},
		change.Start:             {Do: startPrograms},
		change.Restart:           {Do: restartPrograms},
		change.Reload:            {Do: reloadPrograms},
		change.Stop:              {Do: stopPrograms},
		change.Serve:             {Do: programsServe},
		change.AddMember:         {Do: addMember},
		change.PromoteMember:     {Done: memberVotes, Do: promoteMember},
		change.MoveLeader:        {Done: leadsNot, Do: moveLeader},
		change.RemoveMember:      {Done: memberGone, Do: removeMember, Final: true},
		change.DrainBackend:      {Do: drainBackend},
		change.RestoreBackend:    {Do: restoreBackend},
		change.SetBackends:       {Do: setBackends},
		change.DrainNode:         {Do: drainNode},
		change.NodeReady:         {Do: nodeReady},
		change.UncordonNode:      {Do: uncordonNode},
		change.DNSReady:          {Do: dnsReady},
		change.DeleteNode:        {Do: deleteNode, Final: true},
		change.ServeCertificate:  {Do: serveCertificate},
		change.ApplyManifests:    {Do: applyManifests},
		change.Activate:          {Do: activate},
		change.Forget:            {Do: forget},
		change.RewriteSecrets:    {Do: rewriteSecrets},
		change.ProveTrust:        {Do: proveTrust},
		change.ProveSwitch:       {Do: proveSwitch},
		change.ProveUnused:       {Do: proveUnused},
		change.ProveDrop:         {Do: proveDrop},
		change.CompactHistory:    {Do: compactHistory},
		change.Defragment:        {Do: defragment},
		change.DisarmAlarms:      {Do: disarmAlarms},
		change.StageData:         {Done: dataStaged, Do: stageData},
		change.Halt:              {Do: haltPrograms},
		change.SwapData:          {Do: swapData, Final: true},
		change.SwapDataBack:      {Do: swapDataBack, Final: true},
		change.DropData:          {Do: dropData},
		change.WriteObject:       {Do: writeObject},
		change.RegisterNode:      {Do: registerNode},
		change.ReleaseLeases:     {Do: releaseLeases},
		change.Snapshot:          {Do: snapshot},
		change.CheckCluster:      {Do: checkCluster},
		change.BringPrograms:     {Do: bringPrograms},
		change.UsePrograms:       {Do: usePrograms},
	}
}
