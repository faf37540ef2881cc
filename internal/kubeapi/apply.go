package kubeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Change is what Apply did to an object.
type Change string

// The changes, in kubectl's words.
const (
	Created    Change = "created"
	Configured Change = "configured"
	Unchanged  Change = "unchanged"
)

// An Applied is one object of the manifests and what became of it.
type Applied struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty when the kind has none
	Name      string `json:"name"`
	Change    Change `json:"change"`
}

// Apply applies a YAML stream of objects, server-side and in their order, taking
// over fields that others manage. All documents are read before the first is
// applied. It stops at the first error and returns what it did until then; it can
// be run again. A kind that a CustomResourceDefinition brings is an error until that is established.
func (c *Client) Apply(ctx context.Context, manifests []byte) ([]Applied, error) {
	return c.applyAll(ctx, manifests, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
}

// Compare tells what Apply would do, and does nothing.
func (c *Client) Compare(ctx context.Context, manifests []byte) ([]Applied, error) {
	return c.applyAll(ctx, manifests, metav1.ApplyOptions{FieldManager: FieldManager, Force: true, DryRun: []string{metav1.DryRunAll}})
}

func (c *Client) applyAll(ctx context.Context, manifests []byte, options metav1.ApplyOptions) ([]Applied, error) {
	objects, err := decode(manifests)
	if err != nil {
		return nil, err
	}
	var applied []Applied
	for _, object := range objects {
		one, err := c.apply(ctx, object, options)
		if err != nil {
			return applied, c.errorf(fmt.Sprintf("apply %s %s", object.GetKind(), object.GetName()), err)
		}
		applied = append(applied, one)
	}
	return applied, nil
}

func (c *Client) apply(ctx context.Context, object *unstructured.Unstructured, options metav1.ApplyOptions) (Applied, error) {
	resource, err := c.resource(ctx, object)
	if err != nil {
		return Applied{}, err
	}
	one := Applied{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName(), Change: Created}
	before, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return Applied{}, err
	}
	existed := err == nil
	after, err := resource.Apply(ctx, object.GetName(), object, options)
	if err != nil {
		return Applied{}, err
	}
	if existed {
		one.Change = Configured
		// What is not written keeps its resource version, whatever it would become.
		dry := len(options.DryRun) > 0
		if !dry && before.GetResourceVersion() == after.GetResourceVersion() || same(before, after) {
			one.Change = Unchanged
		}
	}
	return one, nil
}

// same reports whether an apply changed nothing. An equal resource version is not
// all there is to it: the second apply of an object without fields, such as a bare
// Namespace, writes managed fields only, and a controller may write status meanwhile.
func same(before, after *unstructured.Unstructured) bool {
	before, after = before.DeepCopy(), after.DeepCopy()
	for _, object := range []*unstructured.Unstructured{before, after} {
		unstructured.RemoveNestedField(object.Object, "status")
		for _, field := range []string{"resourceVersion", "managedFields", "generation"} {
			unstructured.RemoveNestedField(object.Object, "metadata", field)
		}
	}
	return equality.Semantic.DeepEqual(before.Object, after.Object)
}

// resource finds the object's kind, asking the server again when it is not known
// yet, and gives an object without a namespace the one it falls to.
func (c *Client) resource(ctx context.Context, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.ResetWithContext(ctx)
		mapping, err = c.mapper.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	resource := c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		object.SetNamespace("")
		return resource, nil
	}
	if object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	return resource.Namespace(object.GetNamespace()), nil
}

// decode reads a YAML stream; a List counts as its items, an empty document as none.
func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for number := 1; ; number++ {
		content := map[string]any{}
		err := decoder.Decode(&content)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err == nil && len(content) > 0 {
			objects, err = appendObject(objects, &unstructured.Unstructured{Object: content})
		}
		if err != nil {
			return nil, fmt.Errorf("read manifests: document %d: %w", number, err)
		}
	}
}

func appendObject(objects []*unstructured.Unstructured, object *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if object.IsList() {
		err := object.EachListItem(func(item runtime.Object) (err error) {
			objects, err = appendObject(objects, item.(*unstructured.Unstructured))
			return err
		})
		return objects, err
	}
	if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
		return nil, fmt.Errorf("apiVersion, kind and metadata.name are needed, got %q, %q and %q",
			object.GetAPIVersion(), object.GetKind(), object.GetName())
	}
	return append(objects, object), nil
}
