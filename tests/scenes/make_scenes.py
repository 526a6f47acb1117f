"""Writes the scenes that the tests and the demo render. Knows Blender's Python; knows nothing of Framefair.

    blender -b --factory-startup -noaudio --python-exit-code 9 -P make_scenes.py -- OUT_DIR [MARKER_PREFIX] [--only NAME]
    python make_scenes.py -- OUT_DIR ...          # the same under PyPI's bpy, for files of another Blender version

All but demo: 320x180, Cycles on CPU, 16 samples, seed 0, a red cube and a glossy head.

animation         the cube turns, frames 1 to 8    animation-zstd    the same, compressed
eevee             the same with EEVEE              still             nothing moves, frames 1 to 3
missing-texture   an image file that is not there: Blender renders pink and exits with 0
no-camera         cannot render
malicious         an auto-run text and a scripted driver; each creates MARKER_PREFIX_text or MARKER_PREFIX_driver if it
                  ever runs
mesh              mesh.obj, mesh.stl and mesh.glb: a cube and a head, no camera and no light
demo              a picture worth showing, frames 1 to 8, 32 samples
"""
import argparse
import json
import math
import os
import struct
import sys

import bpy
from mathutils import Vector

WIDTH, HEIGHT = 320, 180


def arguments():
    parser = argparse.ArgumentParser(prog="make_scenes.py", description="Writes the test scenes.")
    parser.add_argument("out_dir")
    parser.add_argument("marker_prefix", nargs="?", default="PWNED")
    parser.add_argument("--only", metavar="NAME", choices=sorted(SCENES), help="write this scene alone")
    return parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else [])


# Shared by all scenes


def empty(engine, frames, samples):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    # Without this Blender keeps the last state beside a file that it overwrites, as NAME.blend1.
    bpy.context.preferences.filepaths.save_version = 0
    scene = bpy.context.scene
    scene.render.engine = engine
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.image_settings.file_format = "PNG"
    if engine == "CYCLES":
        scene.cycles.device = "CPU"
        scene.cycles.samples = samples
        scene.cycles.seed = 0
        # Debian's Blender has no denoiser and fails if one is asked for.
        scene.cycles.use_denoising = False
        scene.cycles.use_adaptive_sampling = False
    return scene


def material(name, color, metallic=0.0, roughness=0.5):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    return made


def look_at(thing, target):
    thing.rotation_euler = (Vector(target) - thing.location).to_track_quat("-Z", "Y").to_euler()


def save(out_dir, name, compress=False):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(out_dir, name + ".blend"), compress=compress)


# The test scenes


def cube_and_head():
    bpy.ops.mesh.primitive_cube_add(size=2, location=(0, 0, 1))
    cube = bpy.context.object
    cube.data.materials.append(material("red", (0.8, 0.1, 0.05)))
    bpy.ops.mesh.primitive_monkey_add(size=1.5, location=(2.2, -1, 0.8), rotation=(-0.4, 0, 0.785))
    bpy.ops.object.shade_smooth()
    bpy.context.object.data.materials.append(material("glossy", (0.8, 0.8, 0.8), metallic=1, roughness=0.2))
    return cube


def stage(engine="CYCLES", frames=8, moves=True):
    scene = empty(engine, frames, samples=16)
    cube = cube_and_head()
    bpy.ops.mesh.primitive_plane_add(size=20)
    bpy.ops.object.light_add(type="AREA", location=(4, -4, 6))
    light = bpy.context.object
    light.data.energy, light.data.size = 800, 3
    light.rotation_euler = (0.6, 0.5, 0.7)
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.05, 0.08, 0.12, 1)
    scene.world = world
    bpy.ops.object.camera_add(location=(7, -7, 5), rotation=(1.1, 0, 0.785))
    scene.camera = bpy.context.object
    if moves:
        cube.keyframe_insert("rotation_euler", frame=1)
        cube.rotation_euler = (0, 0, math.pi / 2)
        cube.keyframe_insert("rotation_euler", frame=frames)
    return scene, cube


def animation(out_dir, _marker):
    stage()
    save(out_dir, "animation")


def animation_zstd(out_dir, _marker):
    stage()
    save(out_dir, "animation-zstd", compress=True)


def eevee(out_dir, _marker):
    stage("BLENDER_EEVEE_NEXT" if (4, 2, 0) <= bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE")
    save(out_dir, "eevee")


def still(out_dir, _marker):
    stage(frames=3, moves=False)
    save(out_dir, "still")


def missing_texture(out_dir, _marker):
    _scene, cube = stage()
    image = bpy.data.images.new("lost", 8, 8)
    image.filepath, image.source = "//textures/does_not_exist.png", "FILE"
    tree = cube.data.materials[0].node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    save(out_dir, "missing-texture")


def no_camera(out_dir, _marker):
    scene, _cube = stage()
    bpy.data.objects.remove(scene.camera)
    save(out_dir, "no-camera")


def malicious(out_dir, marker):
    _scene, cube = stage()
    text = bpy.data.texts.new("autorun.py")
    text.write(f"open({marker + '_text'!r}, 'w').write('x')\n")
    text.use_module = True
    driver = cube.driver_add("location", 2).driver
    driver.type = "SCRIPTED"
    command = "touch " + marker + "_driver"
    driver.expression = f"__import__('os').system({command!r}) or 1.0"
    save(out_dir, "malicious")


def mesh(out_dir, _marker):
    empty("CYCLES", 1, samples=16)
    cube_and_head()
    path = os.path.join(out_dir, "mesh")
    if "obj_export" in dir(bpy.ops.wm):
        bpy.ops.wm.obj_export(filepath=path + ".obj", export_materials=False)
    else:
        bpy.ops.export_scene.obj(filepath=path + ".obj", use_materials=False)
    if "stl_export" in dir(bpy.ops.wm):
        bpy.ops.wm.stl_export(filepath=path + ".stl")
    else:
        bpy.ops.export_mesh.stl(filepath=path + ".stl")
    write_glb(path + ".glb")


def write_glb(path):
    """The least of a .glb: Blender's own exporter needs numpy, which Debian does not install with it."""
    corners = []
    for thing in bpy.context.scene.objects:
        thing.data.calc_loop_triangles()
        for triangle in thing.data.loop_triangles:
            # glTF's Y points up, Blender's Z does.
            at = [thing.matrix_world @ thing.data.vertices[vertex].co for vertex in triangle.vertices]
            corners += [(corner.x, corner.z, -corner.y) for corner in at]
    positions = b"".join(struct.pack("<3f", *corner) for corner in corners)
    bounds = {"min": [min(axis) for axis in zip(*corners)], "max": [max(axis) for axis in zip(*corners)]}
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "cube and head"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": len(corners), "type": "VEC3", **bounds}],
        "bufferViews": [{"buffer": 0, "byteLength": len(positions)}],
        "buffers": [{"byteLength": len(positions)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(positions)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(positions), b"BIN\0") + positions)


# The demo


def gradient_sky(scene, horizon, zenith):
    """Two colours by the height of the view: soft light from everywhere costs little noise."""
    world = bpy.data.worlds.new("gradient")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    direction = nodes.new("ShaderNodeTexCoord")
    height = nodes.new("ShaderNodeSeparateXYZ")
    ramp = nodes.new("ShaderNodeValToRGB")
    low, high = ramp.color_ramp.elements
    low.position, low.color = 0.0, (*horizon, 1)
    high.position, high.color = 0.26, (*zenith, 1)
    links.new(direction.outputs["Generated"], height.inputs[0])
    links.new(height.outputs["Z"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], nodes["Background"].inputs["Color"])
    # Seen and mirrored in full, but dim as a lamp for matt things: a narrow bright horizon is where grain comes from.
    rays, dim = nodes.new("ShaderNodeLightPath"), nodes.new("ShaderNodeMapRange")
    dim.inputs["To Min"].default_value, dim.inputs["To Max"].default_value = 1.0, 0.4
    links.new(rays.outputs["Is Diffuse Ray"], dim.inputs["Value"])
    links.new(dim.outputs["Result"], nodes["Background"].inputs["Strength"])
    # Two colours need no fine map of where the light is; the default one costs more time than a few samples.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256
    scene.world = world


def rounded(thing, width, segments=4):
    bevel = thing.modifiers.new("rounded", "BEVEL")
    bevel.width, bevel.segments = width, segments
    bpy.ops.object.shade_smooth()


def demo(out_dir, _marker):
    scene = empty("CYCLES", 8, samples=32)
    # Colours as they are named below, without the film curve that is the default.
    scene.view_settings.view_transform = "Standard"
    # What is bright but rare makes noise; at this size nobody misses it.
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 4, 2, 3
    scene.cycles.sample_clamp_indirect = 1
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.blur_glossy = 1
    gradient_sky(scene, horizon=(1.0, 0.52, 0.27), zenith=(0.26, 0.17, 0.42))

    bpy.ops.mesh.primitive_plane_add(size=4000)
    bpy.context.object.data.materials.append(material("ground", (0.035, 0.045, 0.10), roughness=0.16))

    bpy.ops.object.text_add(location=(0, -1.15, 0.0), rotation=(math.pi / 2, 0, 0))
    word = bpy.context.object
    word.data.body, word.data.size, word.data.align_x = "framefair", 1.3, "CENTER"
    word.data.extrude, word.data.bevel_depth, word.data.bevel_resolution = 0.14, 0.03, 3
    word.data.space_character = 1.04
    word.data.materials.append(material("ivory", (0.95, 0.90, 0.80), roughness=0.3))

    bpy.ops.mesh.primitive_torus_add(
        location=(0.1, 1.3, 1.42), rotation=(math.pi / 2, 0, 0.45), major_radius=1.08, minor_radius=0.34,
        major_segments=96, minor_segments=32,
    )
    ring = bpy.context.object
    bpy.ops.object.shade_smooth()
    ring.data.materials.append(material("gold", (1.0, 0.62, 0.16), metallic=1, roughness=0.18))

    bpy.ops.mesh.primitive_cube_add(size=1.5, location=(-2.75, 1.0, 0.75), rotation=(0, 0, 0.55))
    box = bpy.context.object
    rounded(box, 0.14)
    box.data.materials.append(material("coral", (0.85, 0.09, 0.06), roughness=0.3))

    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=0.9, location=(2.75, 0.9, 0.9))
    bpy.ops.object.shade_smooth()
    bpy.context.object.data.materials.append(material("teal", (0.0, 0.34, 0.36), roughness=0.1))

    # A wide sun makes soft shadows, and of all soft lights the least noise.
    bpy.ops.object.light_add(type="SUN", location=(-6, -8, 6))
    sun = bpy.context.object
    sun.data.energy, sun.data.angle, sun.data.color = 3.2, math.radians(7), (1, 0.88, 0.74)
    look_at(sun, (0, 0, 0))

    # The camera drifts a few degrees to the side while the ring turns: every frame differs, each is a good one.
    bpy.ops.object.camera_add()
    camera = bpy.context.object
    camera.data.lens = 46
    scene.camera = camera
    for frame, angle in ((1, -0.16), (8, 0.14)):
        camera.location = (9.6 * math.sin(angle), -9.6 * math.cos(angle), 1.75)
        look_at(camera, (0, 0, 1.12))
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    ring.keyframe_insert("rotation_euler", frame=1)
    ring.rotation_euler[2] -= 0.9
    ring.keyframe_insert("rotation_euler", frame=8)
    save(out_dir, "demo")


SCENES = {
    "animation": animation,
    "animation-zstd": animation_zstd,
    "demo": demo,
    "eevee": eevee,
    "malicious": malicious,
    "mesh": mesh,
    "missing-texture": missing_texture,
    "no-camera": no_camera,
    "still": still,
}


def main():
    args = arguments()
    out_dir = os.path.abspath(args.out_dir)
    os.makedirs(out_dir, exist_ok=True)
    for name, write in SCENES.items():
        if args.only in (None, name):
            write(out_dir, args.marker_prefix)


main()
