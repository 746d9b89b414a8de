--- Curves of the prediction while an image loses, or gains, what an explanation calls relevant.
-- @module secateur.explanations.removal_curves
local core = require "secateur.core"

local removal_curves = {}

--- Divides an image into square patches; those at the right and lower edge may be smaller.
-- @int height
-- @int width
-- @int patch side of a patch
-- @treturn table `count`, `of` (int64 Tensor [H * W]: the patch of each pixel), `pixels` (Tensor [count]: how many each
--   has), `height`, `width`
function removal_curves.grid(height, width, patch)
  local columns = (width + patch - 1) // patch
  local count = columns * ((height + patch - 1) // patch)
  local of = {}
  for y = 0, height - 1 do
    for x = 0, width - 1 do of[#of + 1] = 1 + y // patch * columns + x // patch end
  end
  of = core.tensor(of, "int64")
  return { count = count, of = of, pixels = core.ones(height * width):sum_groups(1, of, count), height = height,
    width = width }
end

--- The removal order of each pixel: the place of its patch among all patches, by mean relevance.
-- @tparam Tensor maps [N x H * W]
-- @tab grid from `grid`
-- @string first "most" (relevant first) or "least"; ties go in order from the upper left
-- @treturn Tensor [N x 1 x H x W], from 1
function removal_curves.removal_order(maps, grid, first)
  local means = maps:sum_groups(2, grid.of, grid.count) / grid.pixels
  local places = (first == "most" and -means or means):rank(2, "first")
  return places:take(2, grid.of):reshape(-1, 1, grid.height, grid.width)
end

--- After how many patches the prediction is looked at: `steps` + 1 numbers from none to all, evenly spread, without
-- repetitions where there are fewer patches.
-- @int count of patches
-- @int steps
-- @treturn {int,...}
function removal_curves.checkpoints(count, steps)
  local list = {}
  for step = 0, steps do
    local checkpoint = math.floor(step * count / steps + 0.5)
    if checkpoint ~= list[#list] then list[#list + 1] = checkpoint end
  end
  return list
end

-- Images `index[i]` of x after `done[i]` patches have been replaced by those of `other`. Masks are 0 and 1, so that
-- pixels are copied to the bit.
local function replaced(x, other, order, index, done)
  local left = (order:take(1, index) - core.tensor(done):reshape(-1, 1, 1, 1)):clamp(0, 1)
  return x:take(1, index) * left + other:take(1, index) * (1 - left)
end

--- Follows the target's logit and probability while patches are replaced in that order (Samek et al. 2017). All
-- checkpoints of all samples go through `predict` in batches.
-- @func predict x -> logits
-- @tparam Tensor x [N x C x H x W] where the curve starts
-- @tparam Tensor other like x: where it ends
-- @tparam Tensor removal_order from `removal_order`
-- @tab targets a class per sample
-- @tab opts `checkpoints`, `batch`, `outputs` (a function of logits that gives a probability and a logit per class;
--   softmax)
-- @treturn table `probability` and `logit`, a list per sample of a number per checkpoint
function removal_curves.follow(predict, x, other, order, targets, opts)
  local probability, logit, jobs = {}, {}, {}
  local outputs = opts.outputs or function(logits) return core.softmax(logits), logits end
  for i in ipairs(targets) do
    probability[i], logit[i] = {}, {}
    for checkpoint in ipairs(opts.checkpoints) do jobs[#jobs + 1] = { i, checkpoint } end
  end
  for first = 1, #jobs, opts.batch do
    local index, done = {}, {}
    for k = first, math.min(first + opts.batch - 1, #jobs) do
      index[#index + 1], done[#done + 1] = jobs[k][1], opts.checkpoints[jobs[k][2]]
    end
    local probabilities, logits = outputs(predict(replaced(x, other, order, index, done)))
    for k, i in ipairs(index) do
      local checkpoint = jobs[first + k - 1][2]
      probability[i][checkpoint], logit[i][checkpoint] = probabilities:get(k, targets[i]), logits:get(k, targets[i])
    end
  end
  return { probability = probability, logit = logit }
end

--- The area under a curve between the shares 0 and 1 of patches replaced, by trapezoids.
-- @tab checkpoints from `checkpoints`, the last being all patches
-- @tab values a number per checkpoint
-- @treturn number
function removal_curves.area(checkpoints, values)
  local area, all = 0, checkpoints[#checkpoints]
  for k = 2, #checkpoints do
    area = area + (checkpoints[k] - checkpoints[k - 1]) / all * (values[k] + values[k - 1]) / 2
  end
  return area
end

return removal_curves
