--- Mean and standard deviation of ImageNet's training images, by number of channels: how torchvision's weights expect
-- images to be normalised. Grey ones have the means of both over the channels.
-- @module secateur.util.imagenet
return {
  [1] = { mean = { 0.449 }, std = { 0.226 } },
  [3] = { mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } },
}
