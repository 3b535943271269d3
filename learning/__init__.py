"""Everything that knows about models and data; the only room that imports torch.

What the other rooms use, and from where:

- `learning.structure`: `Structure`, `Keep`, `Widths`, `kept_sizes` (no torch)
- `learning.invariance`: `scores` (no torch)
- `learning.layout`: `VectorLayout` (no torch)
- `learning.submodel`: `SubModel` (no torch)
- `learning.tasks`: `TASKS`, `TaskSettings`, `Task`, `load_task`, `initial_vector`
- `learning.objective`: `Objective`, `Classification`, `Regression`
- `learning.training`: `TrainingJob`, `TrainingResult`, `train`, `work`
- `learning.evaluation`: `Evaluation`, `evaluate`

A model travels as one flat float32 vector, a pruned model as a keep set: which neurons of each
hidden layer remain. Nothing here knows of clients' times, of links, or of the coordinator.
"""
