package kubeapi

import (
	"slices"
	"testing"

	svmv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// What a haplane that was killed has left goes, and nothing else.
func TestDropMigrations(t *testing.T) {
	var objects []runtime.Object
	for _, name := range []string{"haplane-secrets-abcde", "secrets", "haplane-secrets-fghij", "somebodys-haplane-secrets-"} {
		objects = append(objects, &svmv1.StorageVersionMigration{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	client := with(objects...)
	if err := client.DropMigrations(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := client.Typed().StoragemigrationV1().StorageVersionMigrations().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, m := range list.Items {
		left = append(left, m.Name)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"secrets", "somebodys-haplane-secrets-"}) {
		t.Errorf("left are %v", left)
	}
}
