/* Labels files with an exported model, without Python: TensorFlow's C API alone.
 *
 * The library and the headers are inside TensorFlow's wheel. With TF naming that folder
 * (python -c "import tensorflow as tf; print(tf.sysconfig.get_lib())"):
 *
 *   cc label.c -o label -I"$TF/include" -L"$TF" -Wl,-rpath,"$TF" \
 *      -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2
 *
 *   ./label out/model/1 serving_default_examples:0 StatefulPartitionedCall:3 StatefulPartitionedCall:2 FILE...
 *
 * The three names are the tensors of the signature serving_default: its input `examples` and its outputs
 * `label` and `confidence`. `saved_model_cli show --dir out/model/1 --tag_set serve --signature_def
 * serving_default` shows them. For each file it prints a line: label, tab, confidence, tab, name. A file that
 * the model cannot read has an empty label and the confidence 0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void stop(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  exit(1);
}

static void check(const TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) stop(what, TF_Message(status));
}

/* A tensor by its name, such as StatefulPartitionedCall:3. */
static TF_Output find(TF_Graph *graph, const char *name) {
  char operation[512];
  const char *colon = strrchr(name, ':');
  size_t length = colon ? (size_t)(colon - name) : strlen(name);
  if (length >= sizeof operation) stop(name, "the name is too long");
  memcpy(operation, name, length);
  operation[length] = '\0';
  TF_Output found = {TF_GraphOperationByName(graph, operation), colon ? atoi(colon + 1) : 0};
  if (found.oper == NULL) stop(name, "the model has no such tensor");
  if (found.index < 0 || found.index >= TF_OperationNumOutputs(found.oper))
    stop(name, "the operation has fewer outputs");
  return found;
}

/* A file's bytes as the one element of a TF_TString. */
static void read_file(const char *path, TF_TString *content) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop(path, "the file cannot be opened");
  long size = ftell(file);
  if (size < 0) stop(path, "the file has no size");
  rewind(file);
  char *bytes = TF_TString_ResizeUninitialized(content, (size_t)size);
  if (fread(bytes, 1, (size_t)size, file) != (size_t)size) stop(path, "the file cannot be read");
  fclose(file);
}

static void release_string(void *data, size_t length, void *argument) {
  (void)length;
  (void)argument;
  TF_TString_Dealloc(data);
  free(data);
}

static TF_Tensor *examples_tensor(const char *path) {
  TF_TString *content = malloc(sizeof *content);
  if (content == NULL) stop(path, "there is no memory");
  TF_TString_Init(content);
  read_file(path, content);
  const int64_t shape[] = {1};
  return TF_NewTensor(TF_STRING, shape, 1, content, sizeof *content, release_string, NULL);
}

int main(int count, char **arguments) {
  if (count < 6) {
    fprintf(stderr, "usage: %s MODEL EXAMPLES LABEL CONFIDENCE FILE...\n", arguments[0]);
    return 2;
  }
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  check(status, arguments[1]);
  TF_Output input = find(graph, arguments[2]);
  TF_Output outputs[] = {find(graph, arguments[3]), find(graph, arguments[4])};
  if (TF_OperationOutputType(input) != TF_STRING) stop(arguments[2], "the input must hold strings");
  if (TF_OperationOutputType(outputs[0]) != TF_STRING) stop(arguments[3], "the label must be a string");
  if (TF_OperationOutputType(outputs[1]) != TF_FLOAT) stop(arguments[4], "the confidence must be a float");

  for (int position = 5; position < count; ++position) {
    TF_Tensor *examples = examples_tensor(arguments[position]);
    TF_Tensor *results[2] = {NULL, NULL};
    TF_SessionRun(session, NULL, &input, &examples, 1, outputs, results, 2, NULL, 0, NULL, status);
    check(status, arguments[position]);
    const TF_TString *label = TF_TensorData(results[0]);
    const float *confidence = TF_TensorData(results[1]);
    printf("%.*s\t%.6f\t%s\n", (int)TF_TString_GetSize(label), TF_TString_GetDataPointer(label),
           confidence[0], arguments[position]);
    TF_DeleteTensor(results[0]);
    TF_DeleteTensor(results[1]);
    TF_DeleteTensor(examples);
  }

  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
