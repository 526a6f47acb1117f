"""Writes the scenes that only the renderer's own tests need. Run it inside Blender: -- OUT_DIR

video.blend       wants an FFmpeg video, stereo, a stamp and a compositor's file output
linked.blend      links an object from a library that is not there
backdrop.blend    a missing image that only the camera's viewport backdrop shows
second.blend      two scenes, the second one (without a light) is the current one
heavy.blend       takes minutes to render
hungry.blend      needs several gigabytes
subject.*         a small mesh in every format that this Blender writes
"""
import os
import sys

import bpy

OUT = sys.argv[sys.argv.index("--") + 1]


def path(name):
    return os.path.join(OUT, name)


def stage():
    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 4
    # On, as Blender's own default is: a Blender without a denoiser must not fail on it.
    scene.cycles.use_denoising = True
    return scene


def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=path(name))


scene = stage()
scene.render.image_settings.file_format = "FFMPEG"
scene.render.use_multiview = True
scene.render.use_stamp = True
scene.render.use_border, scene.render.border_max_x = True, 0.5
scene.render.resolution_percentage = 37
scene.use_nodes = True
layers = scene.node_tree.nodes["Render Layers"]
extra = scene.node_tree.nodes.new("CompositorNodeOutputFile")
extra.base_path = "/job/out"
scene.node_tree.links.new(layers.outputs["Image"], extra.inputs[0])
save("video.blend")

stage()
save("library.blend")
stage()
with bpy.data.libraries.load(path("library.blend"), link=True) as (source, target):
    target.objects = ["Cube"]
bpy.context.scene.collection.objects.link(target.objects[0])
save("linked.blend")
os.remove(path("library.blend"))

scene = stage()
image = bpy.data.images.new("sketch", 8, 8)
image.filepath, image.source = "//sketch.png", "FILE"
scene.camera.data.show_background_images = True
scene.camera.data.background_images.new().image = image
save("backdrop.blend")

scene = stage()
other = bpy.data.scenes.new("other")
other.render.engine = "CYCLES"
other.camera = scene.camera
other.collection.objects.link(scene.camera)
other.world = bpy.data.worlds.new("red")
other.world.use_nodes = True
other.world.node_tree.nodes["Background"].inputs[0].default_value = (1, 0, 0, 1)
bpy.context.window.scene = other
save("second.blend")

scene = stage()
scene.cycles.samples = 65536
scene.cycles.use_adaptive_sampling = False
scene.render.resolution_x = scene.render.resolution_y = 4096
save("heavy.blend")

stage()
subdivision = bpy.data.objects["Cube"].modifiers.new("finer", "SUBSURF")
subdivision.levels, subdivision.render_levels = 0, 11
save("hungry.blend")

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_monkey_add(size=2)
bpy.ops.wm.obj_export(filepath=path("subject.obj"), export_materials=False)
bpy.ops.export_mesh.stl(filepath=path("subject.stl"))
bpy.ops.export_scene.fbx(filepath=path("subject.fbx"))
bpy.ops.wm.collada_export(filepath=path("subject.dae"))
