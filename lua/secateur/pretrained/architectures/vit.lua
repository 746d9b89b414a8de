--- Vision Transformer.
-- @module secateur.pretrained.architectures.vit
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local shapes_of = require "secateur.pretrained.architectures.shapes"

local dims, square_root, weight = shapes_of.text, shapes_of.square_root, shapes_of.weight

local vit = { family = families.of "vit" }

--- Whether the names could be those of a ViT.
-- @tab shapes torchvision's name -> shape
-- @treturn boolean
function vit.fits(shapes)
  return shapes["encoder.pos_embedding"] or shapes["conv_proj.weight"] and shapes["class_token"]
end

-- Widths whose heads are not 64 wide: ViT-H; the shape-optimised one; g and G (Zhai et al. 2022).
local heads_by_width = { [1280] = 16, [1152] = 16, [1408] = 16, [1664] = 16 }

-- Heads leave no trace in shapes. Nearly all ViTs have heads of 64 features; exceptions that are known are listed, and
-- timm's first vit_small (768 wide, 8 heads) had a hidden layer of three times its width, as no other had.
local function heads_of(dim, mlp, notes)
  local heads = heads_by_width[dim] or mlp == 3 * dim and dim == 768 and 8 or dim % 64 == 0 and dim // 64
  if not heads or heads == 0 then
    errors.raise("the number of attention heads cannot be seen in the file, and %d features are not a multiple of 64: "
      .. "give heads = n", dim)
  end
  for _, config in pairs(vit.family.configs) do
    if config.dim == dim and config.mlp == mlp then return heads end
  end
  notes[#notes + 1] = ("took %d features as %d attention heads, which the file does not tell (heads = n)"):format(dim,
    heads)
  return heads
end

--- The options that a ViT of these shapes has. Raises where it is none.
-- @tab shapes torchvision's name -> shape
-- @tab given what the user says that shapes do not tell
-- @tparam {string,...} notes gets a sentence on what was assumed
-- @treturn table options, as its family's graph is built from
-- @treturn string the name of the last layer
-- @treturn ?int features that the last layer gets, where that does not hang on the image
function vit.read(shapes, given, notes)
  local patch = weight(shapes, "conv_proj.weight", 4)
  local embedding = weight(shapes, "encoder.pos_embedding", 3)
  weight(shapes, "class_token", 3)
  local dim, side = patch[1], square_root(embedding[2] - 1)
  if patch[3] ~= patch[4] then errors.raise("'conv_proj.weight': expected square patches, got %s", dims(patch)) end
  if not side or side == 0 then
    errors.raise("'encoder.pos_embedding': expected embeddings of a class token and of a square of patches, got %s",
      dims(embedding))
  end
  local layers = 0
  while shapes[("encoder.layers.encoder_layer_%d.ln_1.weight"):format(layers)] do layers = layers + 1 end
  if layers == 0 then errors.raise("expected the layers of a ViT's encoder, found none") end
  local mlp = weight(shapes, "encoder.layers.encoder_layer_0.mlp.0.weight", 2)[1]
  return { dim = dim, patch = patch[3], channels = patch[2], size = side * patch[3], layers = layers, mlp = mlp,
    dropout = 0, heads = given.heads or heads_of(dim, mlp, notes),
    classes = shapes["heads.head.weight"] and weight(shapes, "heads.head.weight", 2)[1] }, "heads.head", dim
end

return vit
