"""Brings the file into Blender: a .blend is opened, a mesh is imported and furnished.

Furnished means: a camera framed on the object, a sun and a soft sky, a plain material, each only where the
file brought none. Knows nothing of frames or outputs.
"""

import math

import bpy
from mathutils import Vector

from talk import Fault

# Per suffix, the operators that read it, best first; Blender moved some of them between versions.
IMPORTERS = {
    ".obj": (("wm", "obj_import"), ("import_scene", "obj")),
    ".fbx": (("wm", "fbx_import"), ("import_scene", "fbx")),
    ".gltf": (("import_scene", "gltf"),),
    ".glb": (("import_scene", "gltf"),),
    ".stl": (("import_mesh", "stl"), ("wm", "stl_import")),
    ".dae": (("wm", "collada_import"),),
}
# What an importer imports only once it is called: without it the operator exists and cannot work.
NEEDS = {".gltf": "numpy", ".glb": "numpy"}
SOLID = {"MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "POINTCLOUD", "CURVES", "GPENCIL", "GREASEPENCIL"}


def importer(suffix):
    """The operator that reads this suffix, or None when this Blender has none that works."""
    needed = NEEDS.get(suffix)
    if needed:
        try:
            module = __import__(needed)
        except ImportError:
            return None
        # The glTF importer up to Blender 3.5 uses a name that numpy dropped in 1.24, Debian 12's numpy.
        if needed == "numpy" and not hasattr(module, "bool"):
            module.bool = bool
    for module, name in IMPORTERS.get(suffix, ()):
        operator = getattr(getattr(bpy.ops, module), name)
        try:
            operator.get_rna_type()
        except KeyError:
            continue
        return operator
    return None


def open_scene(order):
    suffix, path = order["format"], order["scene"]
    if suffix == ".blend":
        open_blend(path)
        return
    operator = importer(suffix)
    if operator is None:
        raise Fault("node", "format", "this node's Blender cannot read %s files" % suffix)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    try:
        operator(filepath=path)
    except RuntimeError as error:
        raise unreadable(error) from error
    except MemoryError:
        raise
    except Exception as error:  # importers written in Python fail on a bad file with whatever comes
        raise unreadable("%s: %s" % (type(error).__name__, error)) from error


def open_blend(path):
    try:
        bpy.ops.wm.open_mainfile(filepath=path, load_ui=True, use_scripts=False)
    except RuntimeError as error:
        # A missing library is reported as an error too, although the file is open then.
        if bpy.data.filepath != path:
            raise unreadable(error) from error


def unreadable(error):
    detail = " ".join(str(error).split())[:300]
    return Fault("scene", "unreadable", "the file cannot be read by Blender %s: %s" % (bpy.app.version_string, detail))


def furnish(scene):
    solids = [thing for thing in scene.objects if thing.type in SOLID]
    corners = bounds(solids)
    if corners is None:
        raise Fault("scene", "nothing_to_render", "the file holds no geometry")
    dress(solids)
    cameras = [thing for thing in scene.objects if thing.type == "CAMERA"]
    if cameras:
        scene.camera = scene.camera or cameras[0]
    else:
        scene.camera = frame_camera(scene, corners)
    if not any(thing.type == "LIGHT" for thing in scene.objects):
        hang_sun(scene)
    if scene.world is None:
        scene.world = soft_sky()


def bounds(solids):
    """The eight corners of the box around everything solid, or None."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    points = []
    for thing in solids:
        shown = thing.evaluated_get(graph)
        corners = [shown.matrix_world @ Vector(corner) for corner in shown.bound_box]
        corners = [corner for corner in corners if all(math.isfinite(value) for value in corner)]
        # An object without vertices has a box around nothing: all corners on one spot.
        if corners and any((corner - corners[0]).length > 0 for corner in corners):
            points.extend(corners)
    if not points:
        return None
    low = Vector([min(point[axis] for point in points) for axis in range(3)])
    high = Vector([max(point[axis] for point in points) for axis in range(3)])
    return [
        Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)
    ]


def frame_camera(scene, corners):
    """A camera at a three-quarter view, from the right and a little above, with air around the object."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens = 60
    scene.collection.objects.link(camera)
    direction = Vector((0.62, -1.0, 0.55)).normalized()
    camera.rotation_euler = direction.to_track_quat("Z", "Y").to_euler()
    middle = sum(corners, Vector()) / len(corners)
    size = max((corner - middle).length for corner in corners)
    camera.location = middle + direction * size * 3
    bpy.context.view_layer.update()
    flat = [value for corner in corners for value in corner]
    location, _ = camera.camera_fit_coords(bpy.context.evaluated_depsgraph_get(), flat)
    camera.location = Vector(location) + direction * (Vector(location) - middle).length * 0.12
    distance = (camera.location - middle).length
    camera.data.clip_start = max((distance - size) * 0.1, distance * 1e-4)
    camera.data.clip_end = distance + size * 10
    return camera


def hang_sun(scene):
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 4.0
    sun.data.angle = math.radians(6)  # soft edges of the shadows
    sun.data.color = (1.0, 0.96, 0.9)
    sun.rotation_euler = Vector((-0.9, -0.6, 0.9)).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(sun)


def soft_sky():
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes.get("Background")
    if background is not None:
        background.inputs["Color"].default_value = (0.62, 0.68, 0.75, 1.0)
        background.inputs["Strength"].default_value = 0.5
    return world


def dress(solids):
    """Gives whatever came without a material a plain one."""
    plain = None
    for thing in solids:
        slots = getattr(thing.data, "materials", None)
        if slots is None or any(slots):
            continue
        if plain is None:
            plain = bpy.data.materials.new("plain")
            plain.use_nodes = True
            shader = plain.node_tree.nodes.get("Principled BSDF")
            if shader is not None:
                shader.inputs["Base Color"].default_value = (0.58, 0.44, 0.33, 1.0)
                shader.inputs["Roughness"].default_value = 0.55
        if len(slots):
            slots[0] = plain
        else:
            slots.append(plain)
