"""Finds out what a Blender can do by doing it: reads a triangle in every format. Opens no file of anyone's.

An importer that is there may still fail on each file (a library is missing, or too new for it); the
creator of a scene would then be told that his file is at fault.
"""

import base64
import json
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bpy  # noqa: E402  (the path above must be set first)

import load  # noqa: E402
import settings  # noqa: E402
from talk import Fault, say  # noqa: E402

OBJ = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
STL = b"""solid t
facet normal 0 0 1
outer loop
vertex 0 0 0
vertex 1 0 0
vertex 0 1 0
endloop
endfacet
endsolid t
"""
DAE = b"""<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><created>2020-01-01T00:00:00</created><modified>2020-01-01T00:00:00</modified></asset>
<library_geometries><geometry id="g"><mesh>
<source id="p"><float_array id="a" count="9">0 0 0 1 0 0 0 1 0</float_array>
<technique_common><accessor source="#a" count="3" stride="3">
<param name="X" type="float"/><param name="Y" type="float"/><param name="Z" type="float"/>
</accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="1"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2</p></triangles>
</mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node id="n"><instance_geometry url="#g"/></node></visual_scene>
</library_visual_scenes>
<scene><instance_visual_scene url="#s"/></scene>
</COLLADA>
"""


def gltf():
    points = base64.b64encode(struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)).decode()
    return json.dumps(
        {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
            "accessors": [
                {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
            ],
            "bufferViews": [{"buffer": 0, "byteLength": 36}],
            "buffers": [{"byteLength": 36, "uri": "data:application/octet-stream;base64," + points}],
        }
    ).encode()


def glb():
    text = gltf()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sII", b"glTF", 2, 20 + len(text)) + struct.pack("<I4s", len(text), b"JSON") + text


def write(suffix, path):
    if suffix == ".fbx":  # binary and intricate: only Blender itself writes a small one
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.mesh.primitive_plane_add()
        bpy.ops.export_scene.fbx(filepath=path, object_types={"MESH"})
        return
    triangle = {".obj": lambda: OBJ, ".stl": lambda: STL, ".dae": lambda: DAE, ".gltf": gltf, ".glb": glb}[suffix]
    with open(path, "wb") as file:
        file.write(triangle())


def reads(suffix, folder):
    if load.importer(suffix) is None:
        return False
    path = os.path.join(folder, "trial" + suffix)
    try:
        write(suffix, path)
        load.open_scene({"format": suffix, "scene": path})
    except Fault as fault:
        print("%s is not offered: %s" % (suffix, fault.message))
        return False
    except Exception as error:  # an exporter that fails leaves the format untried, so it is not offered
        print("%s is not offered: %s" % (suffix, error))
        return False
    return any(thing.type == "MESH" and len(thing.data.vertices) >= 3 for thing in bpy.context.scene.objects)


with tempfile.TemporaryDirectory() as folder:
    formats = [".blend"] + [suffix for suffix in load.IMPORTERS if reads(suffix, folder)]
say("abilities", formats=formats, denoiser=settings.has_denoiser())
os._exit(0)
