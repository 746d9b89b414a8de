--- What is public, by subject: the order in which the documentation tells of it.
--
-- A subject: `title`, `about`; `names`, those of lua/secateur/init.lua; `classes`, name -> module whose methods they
-- have, as a list of pairs; `topics`, from secateur.help.topics.
-- @module secateur.help.catalogue
return {
  {
    title = "Getting started",
    about = "What to type first, and what concerns the whole program.",
    names = { "help", "main", "output_file", "output_folder", "fingerprint", "threads", "clock", "cpu" },
    classes = {},
    topics = { "tour" },
  },
  {
    title = "Data",
    about = "Images on disk as splits that can be trained on and measured.",
    names = { "data", "image" },
    classes = { { "Dataset", "data.dataset" }, { "Split", "data.split" } },
    topics = {},
  },
  {
    title = "Models",
    about = "Networks: known architectures, networks of one's own, and files of weights.",
    names = { "models", "model", "load", "load_checkpoint", "load_weights" },
    classes = { { "Model", "models.model" }, { "Builder", "models.builder" }, { "Profile", "models.profile" } },
    topics = { "operations" },
  },
  {
    title = "Training",
    about = "From scratch, a new head alone, or what is left after pruning.",
    names = { "train" },
    classes = { { "History", "training.history" } },
    topics = {},
  },
  {
    title = "Attribution",
    about = "What a prediction rests on: relevance of pixels and of neurons, and pictures of it.",
    names = { "attribute", "rules", "heatmap", "heatmaps" },
    classes = { { "Attribution", "attribution.attribute" } },
    topics = { "target", "baseline", "composite" },
  },
  {
    title = "Pruning",
    about = "Scores of neurons, the samples that they are scored on, and the removal of the lowest.",
    names = { "importance", "sample", "sampling", "cluster", "prune", "compact", "lossless" },
    classes = { { "SamplingContext", "pruning.sample_context" }, { "Random", "util.random_numbers" },
      { "ScoringContext", "pruning.scoring_context" }, { "PruningPlan", "models.pruning_plan" },
      { "Lossless", "pruning.lossless" } },
    topics = { "scores", "reduce" },
  },
  {
    title = "Evaluation",
    about = "What a model is worth and what it costs, how good explanations are, and whether they survive pruning.",
    names = { "evaluate", "predict", "cost", "faithfulness", "agreement" },
    classes = { { "Evaluation", "evaluation.evaluate" }, { "Predictions", "explanations.predictions" },
      { "Cost", "models.cost" },
      { "Faithfulness", "explanations.faithfulness_result" }, { "Agreement", "explanations.agreement_result" } },
    topics = {},
  },
  {
    title = "Experiments",
    about = "Methods, samplings, rates, seeds, models and data sets in one resumable table.",
    names = { "sweep", "forecast" },
    classes = { { "Results", "results" } },
    topics = {},
  },
  {
    title = "Report",
    about = "Tables, figures and a page of a sweep.",
    names = { "report" },
    classes = {},
    topics = {},
  },
  {
    title = "Tensors",
    about = "Arrays of numbers: made, calculated with, read and written.",
    names = { "tensor", "zeros", "ones", "full", "randn", "rand", "save_image", "safetensors", "npz",
      "save_npz" },
    classes = { { "Tensor", "help.native.tensor" } },
    topics = {},
  },
  {
    title = "Core classes",
    about = "The classes of the native core, for methods and training loops of one's own: `require \"secateur.core\"`.",
    names = {},
    classes = { { "Graph", "help.native.graph" }, { "ExecutionPlan", "help.native.graph" },
      { "Relevance", "help.native.attribution" }, { "Gradients", "help.native.attribution" },
      { "Covariance", "help.native.pruning" },
      { "Optimiser", "help.native.training" }, { "Ema", "help.native.training" },
      { "ImageSource", "help.native.files" }, { "ImageLoader", "help.native.files" }, { "File", "help.native.files" },
      { "SafetensorsFile", "help.native.files" }, { "Onnx", "help.native.files" } },
    topics = {},
  },
}
