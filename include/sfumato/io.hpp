// Files: safetensors, images, datasets, samples, checkpoints. Needs nlohmann/json, zlib and stb.
#pragma once

#include <sfumato/io/dataset.hpp>
#include <sfumato/io/image.hpp>
#include <sfumato/io/npz.hpp>
#include <sfumato/io/rows_writer.hpp>
#include <sfumato/io/safetensors.hpp>
#include <sfumato/train/checkpoint.hpp>
#include <sfumato/train/image_source.hpp>
#include <sfumato/train/latent_source.hpp>
#include <sfumato/train/latent_statistics.hpp>
#include <sfumato/train/loop.hpp>
#include <sfumato/train/official_names.hpp>
